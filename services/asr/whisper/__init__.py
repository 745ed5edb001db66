"""Whisper on CTranslate2, cut to what the engine needs: `model` recognises a piece of speech, `script` writes Chinese
as it is asked for.
"""
