// What the ECP5's block RAM and multiplier do, as far as Yosys uses them, for replaying a netlist:
// Yosys has only their interfaces. After what it maps by: lattice/brams_16kd.txt, brams_map_16kd.v
// and dsp_map_18x18.v of its share folder, which say where each pin and each initial bit belongs.
// Whatever else a netlist asks for is an error: a port or parameter that is not here, FORBIDDEN.

// A block RAM is 512 rows of 36 bits, four bytes of 9. Ports of fewer than 9 bits leave out the
// ninth. With 36 bits, port A writes and port B reads, each with the data pins of both. One clock
// serves both ports. What one port reads while the other one writes it is not defined; here it is
// the old value inverted, the worst it can be.
module DP16KD (
    input DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5,
        DIA4, DIA3, DIA2, DIA1, DIA0,
    input ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0,
    input CEA, OCEA, CLKA, WEA, RSTA, CSA2, CSA1, CSA0,
    output DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5,
        DOA4, DOA3, DOA2, DOA1, DOA0,
    input DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5,
        DIB4, DIB3, DIB2, DIB1, DIB0,
    input ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0,
    input CEB, OCEB, CLKB, WEB, RSTB, CSB2, CSB1, CSB0,
    output DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5,
        DOB4, DOB3, DOB2, DOB1, DOB0
);
  parameter DATA_WIDTH_A = 18, DATA_WIDTH_B = 18;
  parameter REGMODE_A = "NOREG", REGMODE_B = "NOREG";
  parameter WRITEMODE_A = "NORMAL", WRITEMODE_B = "NORMAL";
  parameter RESETMODE = "SYNC", ASYNC_RESET_RELEASE = "SYNC";
  parameter CSDECODE_A = "0b000", CSDECODE_B = "0b000";
  parameter CLKAMUX = "CLKA", CLKBMUX = "CLKB";
  parameter GSR = "AUTO";
  parameter [319:0] INITVAL_00 = 0, INITVAL_01 = 0, INITVAL_02 = 0, INITVAL_03 = 0;
  parameter [319:0] INITVAL_04 = 0, INITVAL_05 = 0, INITVAL_06 = 0, INITVAL_07 = 0;
  parameter [319:0] INITVAL_08 = 0, INITVAL_09 = 0, INITVAL_0A = 0, INITVAL_0B = 0;
  parameter [319:0] INITVAL_0C = 0, INITVAL_0D = 0, INITVAL_0E = 0, INITVAL_0F = 0;
  parameter [319:0] INITVAL_10 = 0, INITVAL_11 = 0, INITVAL_12 = 0, INITVAL_13 = 0;
  parameter [319:0] INITVAL_14 = 0, INITVAL_15 = 0, INITVAL_16 = 0, INITVAL_17 = 0;
  parameter [319:0] INITVAL_18 = 0, INITVAL_19 = 0, INITVAL_1A = 0, INITVAL_1B = 0;
  parameter [319:0] INITVAL_1C = 0, INITVAL_1D = 0, INITVAL_1E = 0, INITVAL_1F = 0;
  parameter [319:0] INITVAL_20 = 0, INITVAL_21 = 0, INITVAL_22 = 0, INITVAL_23 = 0;
  parameter [319:0] INITVAL_24 = 0, INITVAL_25 = 0, INITVAL_26 = 0, INITVAL_27 = 0;
  parameter [319:0] INITVAL_28 = 0, INITVAL_29 = 0, INITVAL_2A = 0, INITVAL_2B = 0;
  parameter [319:0] INITVAL_2C = 0, INITVAL_2D = 0, INITVAL_2E = 0, INITVAL_2F = 0;
  parameter [319:0] INITVAL_30 = 0, INITVAL_31 = 0, INITVAL_32 = 0, INITVAL_33 = 0;
  parameter [319:0] INITVAL_34 = 0, INITVAL_35 = 0, INITVAL_36 = 0, INITVAL_37 = 0;
  parameter [319:0] INITVAL_38 = 0, INITVAL_39 = 0, INITVAL_3A = 0, INITVAL_3B = 0;
  parameter [319:0] INITVAL_3C = 0, INITVAL_3D = 0, INITVAL_3E = 0, INITVAL_3F = 0;
  localparam [64 * 320 - 1:0] INITIAL = {
    INITVAL_3F, INITVAL_3E, INITVAL_3D, INITVAL_3C, INITVAL_3B, INITVAL_3A, INITVAL_39, INITVAL_38,
        INITVAL_37, INITVAL_36, INITVAL_35, INITVAL_34, INITVAL_33, INITVAL_32, INITVAL_31,
        INITVAL_30, INITVAL_2F, INITVAL_2E, INITVAL_2D, INITVAL_2C, INITVAL_2B, INITVAL_2A,
        INITVAL_29, INITVAL_28, INITVAL_27, INITVAL_26, INITVAL_25, INITVAL_24, INITVAL_23,
        INITVAL_22, INITVAL_21, INITVAL_20, INITVAL_1F, INITVAL_1E, INITVAL_1D, INITVAL_1C,
        INITVAL_1B, INITVAL_1A, INITVAL_19, INITVAL_18, INITVAL_17, INITVAL_16, INITVAL_15,
        INITVAL_14, INITVAL_13, INITVAL_12, INITVAL_11, INITVAL_10, INITVAL_0F, INITVAL_0E,
        INITVAL_0D, INITVAL_0C, INITVAL_0B, INITVAL_0A, INITVAL_09, INITVAL_08, INITVAL_07,
        INITVAL_06, INITVAL_05, INITVAL_04, INITVAL_03, INITVAL_02, INITVAL_01, INITVAL_00};

  generate
    if (REGMODE_A != "NOREG" || REGMODE_B != "NOREG"
        || CSDECODE_A != "0b000" || CSDECODE_B != "0b000"
        || CLKAMUX != "CLKA" || CLKBMUX != "CLKB")
      FORBIDDEN mode_of_block_ram ();
  endgenerate

  reg [35:0] memory [0:511];
  integer row;
  initial
    for (row = 0; row < 512; row = row + 1)
      memory[row] = {INITIAL[row * 40 + 20 +: 18], INITIAL[row * 40 +: 18]};

  wire [17:0] pins_a = {DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7,
      DIA6, DIA5, DIA4, DIA3, DIA2, DIA1, DIA0};
  wire [17:0] pins_b = {DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7,
      DIB6, DIB5, DIB4, DIB3, DIB2, DIB1, DIB0};
  wire [13:0] address_a = {ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3,
      ADA2, ADA1, ADA0};
  wire [13:0] address_b = {ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3,
      ADB2, ADB1, ADB0};
  wire enable_a = CEA & ~CSA2 & ~CSA1 & ~CSA0;
  wire enable_b = CEB & ~CSB2 & ~CSB1 & ~CSB0;

  // Where in its row a word begins.
  function [5:0] offset(input integer width, input [13:0] address);
    case (width)
      36: offset = 0;
      18: offset = 18 * address[4];
      9: offset = 9 * address[4:3];
      4: offset = 9 * address[4:3] + 4 * address[2];
      2: offset = 9 * address[4:3] + 2 * address[2:1];
      default: offset = 9 * address[4:3] + address[2:0];
    endcase
  endfunction

  // Which bits of the row are written: words of several bytes have an enable for each of them in
  // the address bits that they have no use for.
  function [35:0] written(input integer width, input [13:0] address);
    written = ((64'd1 << width) - 1) << offset(width, address);
    case (width)
      36: written = {{9{address[3]}}, {9{address[2]}}, {9{address[1]}}, {9{address[0]}}};
      18: written = written & {2{{9{address[1]}}, {9{address[0]}}}};
    endcase
  endfunction

  wire [35:0] data_a = DATA_WIDTH_A == 36 ? {pins_b, pins_a} : pins_a;
  wire [35:0] new_a = data_a << offset(DATA_WIDTH_A, address_a);
  wire [35:0] new_b = pins_b << offset(DATA_WIDTH_B, address_b);
  wire [35:0] write_a = enable_a & WEA & ~RSTA ? written(DATA_WIDTH_A, address_a) : 0;
  wire [35:0] write_b = enable_b & WEB & ~RSTB ? written(DATA_WIDTH_B, address_b) : 0;
  wire [35:0] row_a = memory[address_a[13:5]];
  wire [35:0] row_b = memory[address_b[13:5]];
  wire same_row = address_a[13:5] == address_b[13:5];
  // Whole rows are written, so if both ports write the same one, port A does it for both.
  wire [35:0] also_b = same_row ? write_b : 0;
  always @(posedge CLKA)
    if (write_a != 0)
      memory[address_a[13:5]] <=
          (row_a & ~write_a & ~also_b) | (new_a & write_a) | (new_b & also_b);
  always @(posedge CLKB)
    if (write_b != 0 && !(same_row && write_a != 0))
      memory[address_b[13:5]] <= (row_b & ~write_b) | (new_b & write_b);

  wire [35:0] old_a = row_a ^ (same_row ? write_b : 0);
  wire [35:0] old_b = row_b ^ (same_row ? write_a : 0);
  wire [35:0] through_a = (old_a & ~write_a) | (new_a & write_a);
  wire [35:0] through_b = (old_b & ~write_b) | (new_b & write_b);
  wire [35:0] next_a = (WRITEMODE_A == "WRITETHROUGH" ? through_a : old_a)
      >> offset(DATA_WIDTH_A, address_a);
  wire [35:0] next_b = (WRITEMODE_B == "WRITETHROUGH" ? through_b : old_b)
      >> offset(DATA_WIDTH_B, address_b);
  wire reads_a = enable_a & (~WEA | WRITEMODE_A != "NORMAL");
  wire reads_b = enable_b & (~WEB | WRITEMODE_B != "NORMAL");
  reg [35:0] out_a = 0, out_b = 0;
  generate
    if (RESETMODE == "ASYNC") begin
      always @(posedge CLKA, posedge RSTA)
        if (RSTA) out_a <= 0; else if (reads_a) out_a <= next_a;
      always @(posedge CLKB, posedge RSTB)
        if (RSTB) out_b <= 0; else if (reads_b) out_b <= next_b;
    end else begin
      always @(posedge CLKA)
        if (RSTA) out_a <= 0; else if (reads_a) out_a <= next_a;
      always @(posedge CLKB)
        if (RSTB) out_b <= 0; else if (reads_b) out_b <= next_b;
    end
  endgenerate
  assign {DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5,
      DOA4, DOA3, DOA2, DOA1, DOA0} = DATA_WIDTH_B == 36 ? out_b[17:0] : out_a[17:0];
  assign {DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5,
      DOB4, DOB3, DOB2, DOB1, DOB0} = DATA_WIDTH_B == 36 ? out_b[35:18] : out_b[17:0];
endmodule

// A product of 18 by 18 bits without registers.
module MULT18X18D (
    input A17, A16, A15, A14, A13, A12, A11, A10, A9, A8, A7, A6, A5, A4, A3, A2, A1, A0,
    input B17, B16, B15, B14, B13, B12, B11, B10, B9, B8, B7, B6, B5, B4, B3, B2, B1, B0,
    input C17, C16, C15, C14, C13, C12, C11, C10, C9, C8, C7, C6, C5, C4, C3, C2, C1, C0,
    input SIGNEDA, SIGNEDB, SOURCEA, SOURCEB,
    output P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24, P23, P22, P21, P20, P19, P18,
        P17, P16, P15, P14, P13, P12, P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1, P0
);
  wire [17:0] a = {A17, A16, A15, A14, A13, A12, A11, A10, A9, A8, A7, A6, A5, A4, A3, A2, A1, A0};
  wire [17:0] b = {B17, B16, B15, B14, B13, B12, B11, B10, B9, B8, B7, B6, B5, B4, B3, B2, B1, B0};
  wire signed [36:0] product =
      $signed({SIGNEDA & A17, a}) * $signed({SIGNEDB & B17, b});
  assign {P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24, P23, P22, P21, P20, P19, P18,
      P17, P16, P15, P14, P13, P12, P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1, P0} =
      product[35:0];
endmodule
