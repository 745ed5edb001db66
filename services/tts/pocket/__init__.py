"""pocket-tts: what lies in a model's folder, and the model on a thread of its own."""
