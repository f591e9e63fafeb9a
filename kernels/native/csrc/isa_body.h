/* What every instruction set compiles, after its lanes and its int8 panel. A set says before it:
 * ROW_TILE (rows of a tile, also queries), VALUE_ROWS and VALUE_COLUMNS (registers of the values' tile), ROW_MAJOR, and
 * QUANTISE_VNNI where several rows are quantised together. */
#include "native.h"
#include "kernels.h"

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif
#define ALWAYS_INLINE inline __attribute__((always_inline))

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define TILES_1(T, ...) T(__VA_ARGS__, 1)
#define TILES_2(T, ...) TILES_1(T, __VA_ARGS__) T(__VA_ARGS__, 2)
#define TILES_3(T, ...) TILES_2(T, __VA_ARGS__) T(__VA_ARGS__, 3)
#define TILES_4(T, ...) TILES_3(T, __VA_ARGS__) T(__VA_ARGS__, 4)
#define TILES_6(T, ...) TILES_4(T, __VA_ARGS__) T(__VA_ARGS__, 5) T(__VA_ARGS__, 6)
#define TILES_12(T, ...)                                                                                    \
    TILES_6(T, __VA_ARGS__) T(__VA_ARGS__, 7) T(__VA_ARGS__, 8) T(__VA_ARGS__, 9) T(__VA_ARGS__, 10)        \
    T(__VA_ARGS__, 11) T(__VA_ARGS__, 12)
#define TILES_16(T, ...)                                                                                    \
    TILES_12(T, __VA_ARGS__) T(__VA_ARGS__, 13) T(__VA_ARGS__, 14) T(__VA_ARGS__, 15) T(__VA_ARGS__, 16)
#define EACH_ROW_TILE JOIN(TILES_, ROW_TILE)
#define NAMED(NAME, R) NAME##_##R,

#include "curves.h"
#include "panels_float.h"
static void panel_int8(const int8_t *x, const float *scale, const int32_t *offset, int64_t rows, int64_t inner,
                       const uint8_t *w, const float *output_scale, float *out, int64_t stride, const void *ahead);
static inline int64_t more(int64_t a, int64_t b) { return a > b ? a : b; }
static inline int64_t less(int64_t a, int64_t b) { return a < b ? a : b; }
#include "rows.h"
#if defined(QUANTISE_VNNI)
#include "quantise_vnni.h"
#define QUANTISE_ROWS quantise_rows
#else
#define QUANTISE_ROWS rows_quantise_each
#endif
#include "attention_int8.h"
#include "attention.h"
#include "choices.h"

#define KERNELS(SYMBOL, NAME)                    \
    const Kernels SYMBOL = {                     \
        .name = NAME,                            \
        .row_tile = ROW_TILE,                    \
        .query_tile = ROW_TILE,                  \
        .row_major = ROW_MAJOR,                  \
        .quantise = QUANTISE_ROWS,               \
        .panel_int8 = panel_int8,                \
        .panel_float32 = panel_float32,          \
        .panel_bfloat16 = panel_bfloat16,        \
        .norm = rows_norm,                       \
        .norms = rows_norms,                     \
        .gated = rows_gated,                     \
        .add_scaled = rows_add_scaled,           \
        .scale_cap = rows_scale_cap,             \
        .rotate = rows_rotate,                   \
        .attend = attend,                        \
        .fold = attend_fold,                     \
        .finish = attend_finish,                 \
        .store = attend_store,                   \
        .top = choices_top,                      \
        .above = choices_above,                  \
        .exp_sum = choices_exp_sum,              \
        .log = choices_log,                      \
        .exp = choices_exp,                      \
        .rank = choices_rank,                    \
        .noise = choices_noise,                  \
        .pick = choices_pick,                    \
    }
