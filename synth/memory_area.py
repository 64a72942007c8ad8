"""Area of memories from a stated density; they are not mapped to gates."""

from synth.library import Library

#: µm² a bit of OpenRAM's ``sky130_sram_2kbyte_1rw1r_32x512_8``: 683.1 × 416.54 µm for 16,384 bits
#: with one read/write and one read port, by its LEF. Smaller macros are less dense.
SKY130_UM2_PER_BIT = 17.4
#: Area of the flip-flop ``sky130_fd_sc_hd__dfxtp_1``, the yardstick for other processes.
SKY130_FLIP_FLOP_UM2 = 20.02


def memory_area_um2(bits: int, library: Library) -> float:
    """Estimate for ``bits`` of memory in the library's process.

    For a process without an open figure the density is scaled by the area of its flip-flop.
    """
    scale = library.flip_flop.area_um2 / SKY130_FLIP_FLOP_UM2
    return bits * SKY130_UM2_PER_BIT * scale
