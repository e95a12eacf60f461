//! The rules of DeepTravel, and nothing else: no clock, no IO, no randomness, no logging.
