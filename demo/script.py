"""What the presenter says: our own words, chosen to use all the sounds of English."""

SENTENCES = (
    "Hello, and welcome to Visavis.",
    "I am a drawn presenter, but the way I move my mouth was learned from sound.",
    "Everything you see and hear runs on your own computer, with nothing to download.",
    "Give me a minute or two of somebody talking, and I will help you to build a face that speaks.",
    "First we check the recording: one face, a clear voice, and enough light.",
    "Then we follow the lips, the jaw and the eyes, picture by picture.",
    "A small network listens to the voice, and works out the shape of the mouth for every moment.",
    "Another one paints those shapes back, so that teeth, tongue and skin look just right.",
    "When the training is finished, you may type a sentence, or ask me a question aloud.",
    "I hear you, I think about it, and I answer in the voice that you have chosen.",
    "If you interrupt, I stop at once, and I remember only what you really heard.",
    "Five little services share the job, and you can put each of them on a bigger machine.",
    "The pleasure of a good measure is that you can judge the whole thing by yourself.",
    "Choose a young voice or a rough one, a cheerful tune or a calm and thoughtful mood.",
    "Every video we make carries a mark that says it is synthetic, because trust matters.",
    "Your face and your voice belong to you, so they never leave this house without your word.",
    "Now put your microphone on, say something, and let us talk face to face.",
    "Thank you for watching, and have a wonderful day.",
)
