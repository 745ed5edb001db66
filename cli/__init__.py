"""`visavis`: starts everything on this machine, and does from the terminal what the page does."""
