"""Settings: what may change from one data set to the next."""

from hdl.piper.operator import WORD

#: Bits of what operators read besides their value. ``reciprocal`` follows from ``modulus``.
SETTINGS = {"modulus": WORD, "reciprocal": WORD + 1}
