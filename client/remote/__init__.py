"""A gateway as it is reached from outside: its REST interface and its live protocol."""
