"""What is heard: spectra, phones, and how far sound is from picture."""
