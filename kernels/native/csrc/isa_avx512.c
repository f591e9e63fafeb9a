/* AVX-512 with VNNI: four int8 products and their sum a lane and instruction. */
#include "lanes_avx512.h"
#define ROW_TILE 16
#define VALUE_ROWS 6
#define VALUE_COLUMNS 4
#define ROW_MAJOR 0
#define QUANTISE_VNNI
#include "isa_body.h"
#include "panels_vnni.h"

KERNELS(native_avx512, "avx512");
