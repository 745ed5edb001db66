"""The five services as their callers see them, and the flows that join them: train, generate, talk.

The gateway and the command line are both built on this; it reaches the services only through the protos.
"""
