"""Load: what generators send, what they tell, and what is made of it."""
