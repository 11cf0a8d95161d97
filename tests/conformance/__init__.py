"""Replays the recorded inputs of the reference through `agentlab.compat` and compares what comes out."""
