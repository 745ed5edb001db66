"""What is written becomes what is said: before any engine, the same for every engine."""
