"""OpenVoice's converter of tone colour: what of it lies where, and the process in which it converts."""
