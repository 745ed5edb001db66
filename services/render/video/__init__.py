"""Pictures and sound as files and streams: encoding, and what is drawn over."""
