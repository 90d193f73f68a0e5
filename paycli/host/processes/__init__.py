"""The server as a process among others: started anew, and what systemd hears."""
