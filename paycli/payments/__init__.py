"""What a payment is: money, states, rules, postings, and what they need of a store and a processor."""
