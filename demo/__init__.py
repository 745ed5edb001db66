"""The demo presenter: a talking head that our own code draws and animates, free for anyone to redistribute."""
