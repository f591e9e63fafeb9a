/* A set of kernels against another, bit for bit, on a little of everything: run when a library is opened. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels.h"
#include "native.h"

enum { INNER = 96, ROWS = 16, DIM = 64, QUERIES = 5, SLOTS = 3 * BLOCK, FLOATS = 4096 };

typedef struct Bench {
    float x[FLOATS], got[FLOATS], kept[2][FLOATS];
    int8_t q[ROWS * INNER];
    float scale[ROWS * INNER / GROUP], work[QUERIES * (BLOCK + 64)];
    int32_t offset[ROWS * INNER / GROUP];
    uint8_t w[INNER * 16];
    uint16_t half[INNER * 16];
    float keys[SLOTS * DIM], values[SLOTS * DIM], query[DIM * QUERIES];
    float query_scale[QUERIES * DIM / GROUP];
    int32_t query_offset[QUERIES * DIM / GROUP];
    int8_t query_bytes[QUERIES * DIM];
} Bench;

static float noise(uint32_t *state) { /* -1..1 */
    *state = *state * 1664525u + 1013904223u;
    return (float)(*state >> 8) * 0x1p-23f - 1.0f;
}

static void fill(Bench *b) {
    uint32_t state = 7;
    for (int i = 0; i < FLOATS; i++) b->x[i] = 3.0f * noise(&state);
    for (int i = 0; i < INNER * 16; i++) b->w[i] = (uint8_t)(128.0f + 127.0f * noise(&state));
    for (int i = 0; i < INNER * 16; i++) b->half[i] = (uint16_t)(0x3f80 + 64.0f * noise(&state));
    for (int i = 0; i < DIM * QUERIES; i++) b->query[i] = noise(&state);
    memset(b->keys, 0, sizeof b->keys);
    memset(b->values, 0, sizeof b->values);
}

/* Rows through quantising and the three kinds of panel, in tiles as large as this set takes. */
static void panels(const Kernels *k, Bench *b, float *out) {
    for (int64_t row = 0; row < ROWS;) {
        const int64_t rows = ROWS - row < k->row_tile ? ROWS - row : k->row_tile;
        float mixed[ROWS * INNER], norm[ROWS];
        const float *x[ROWS];
        for (int64_t r = 0; r < rows; r++) {
            x[r] = b->x + (row + r) * INNER;
            for (int64_t i = 0; i < INNER; i++) mixed[i * rows + r] = x[r][i];
        }
        k->norms(x, rows, 1e-5f, INNER, norm);
        k->quantise(x, rows, norm, b->x, INNER, b->q, k->row_major ? INNER : 4, k->row_major ? 4 : 4 * rows, b->scale, b->offset, rows);
        k->panel_int8(b->q, b->scale, b->offset, rows, INNER, b->w, b->x, out + row * 16, 16, b->w);
        k->panel_float32(mixed, rows, INNER, b->x + 64, out + (ROWS + row) * 16, 16);
        k->panel_bfloat16(mixed, rows, INNER, b->half, out + (2 * ROWS + row) * 16, 16);
        row += rows;
    }
}

static void rows(const Kernels *k, const Bench *b, float *out) {
    k->norm(b->x, b->x + 512, 1e-5f, INNER, out);
    k->gated(ACT_SILU, b->x, b->x + 512, INNER, out + 128);
    k->gated(ACT_GELU_TANH, b->x, b->x + 512, INNER, out + 256);
    memcpy(out + 384, b->x, INNER * 4);
    k->add_scaled(out + 384, 16, b->x + 512, 16, 0.7f, INNER / 16);
    memcpy(out + 512, b->x, INNER * 4);
    k->scale_cap(out + 512, 0.3f, 1.5f, INNER);
    memcpy(out + 640, b->x, INNER * 4);
    k->rotate(out + 640, b->x + 512, b->x + 768, 24);
}

/* Two blocks of attention with a window, a stray and a soft-cap, in tiles of this set. */
static void attention(const Kernels *k, Bench *b, int32_t dtype, float *out) {
    const int32_t strays[2] = {200, 203};
    for (int64_t slot = 0; slot < 208; slot++) k->store(b->x + slot * 16, DIM, b->keys, b->values, slot, dtype);
    for (int64_t from = 0, count; from < QUERIES; from += count) {
        count = QUERIES - from < k->query_tile ? QUERIES - from : k->query_tile;
        float query[DIM * QUERIES], part[2][QUERIES * (DIM + 16)];
        const float *x[QUERIES];
        for (int64_t q = 0; q < count; q++) {
            x[q] = b->query + (from + q) * DIM;
            for (int64_t d = 0; d < DIM; d++) query[d * count + q] = x[q][d];
        }
        k->quantise(x, count, NULL, NULL, DIM, b->query_bytes, k->row_major ? DIM : 4, k->row_major ? 4 : 4 * count,
                    b->query_scale, b->query_offset, count);
        QueryTile tile = {.queries = (int32_t)count, .dim = DIM, .key_value_dtype = dtype, .softcap = 20.0f, .query = query,
                          .keys = b->keys, .values = b->values, .fresh_from = 198, .fresh_to = 205, .query_bytes = b->query_bytes,
                          .query_scale = b->query_scale, .query_offset = b->query_offset};
        for (int64_t q = 0; q < count; q++)
            tile.first[q] = (from + q) * 9, tile.straight[q] = 199, tile.last[q] = 201, tile.stray[q] = strays;
        for (int64_t block = 0; block < 2; block++) k->attend(&tile, block, b->work, part[block], DIM + 16);
        for (int64_t q = 0; q < count; q++) {
            k->fold(part[0] + q * (DIM + 16), part[1] + q * (DIM + 16), DIM);
            k->finish(part[0] + q * (DIM + 16), DIM, out + (from + q) * DIM);
        }
    }
}

/* A row of logits, not a multiple of 16 long, with equal entries. */
static void choices(const Kernels *k, const Bench *b, float *out) {
    const int64_t count = 1003;
    int32_t ids[9], above[1003];
    float x[1003], gap;
    for (int64_t i = 0; i < count; i++) x[i] = rintf(b->x[i] * 64.0f) / 16.0f;
    out[0] = (float)k->top(x, count, 8, ids, out + 16);
    for (int i = 0; i < 8; i++) out[32 + i] = (float)ids[i];
    out[9] = (float)k->above(x, count, 1.5f, above);
    for (int64_t i = 0; i < (int64_t)out[9]; i++) out[10] += (float)(above[i] % 64);
    out[1] = k->exp_sum(x, count, 0.7f, 9.0f, out + 64);
    out[2] = k->log(0.3f), out[3] = k->log(123456.0f), out[4] = k->exp(-3.3f);
    for (int i = 0; i < 8; i++) out[40 + i] = (float)k->rank(x, count, 100 * i + ids[i] % 16);
    k->noise(NULL, 77, 333, 0x12345678u, 0x9abcdef0u, out + 1100);
    k->noise(ids, 0, 8, 0x12345678u, 0x9abcdef0u, out + 1500);
    out[5] = (float)k->pick(x, count, 2.0f, 0.8f, 3u, 5u, &gap), out[6] = gap;
    out[7] = (float)k->pick(x, count, -1e30f, 1.3f, 7u, 8u, &gap), out[8] = gap;
}

int native_selftest(const Kernels *kernels, const Kernels *reference) {
    Bench *b = aligned_alloc(64, (sizeof *b + 63) & ~(size_t)63);
    const Kernels *sides[] = {kernels, reference};
    int differs = 0;
    if (!b) return -1;
    for (int test = 0; test < 6 && !differs; test++) {
        for (int side = 0; side < 2; side++) {
            fill(b);
            memset(b->kept[side], 0, sizeof b->kept[side]);
            if (test == 0) panels(sides[side], b, b->kept[side]);
            if (test == 1) rows(sides[side], b, b->kept[side]);
            if (test == 5) choices(sides[side], b, b->kept[side]);
            if (test >= 2 && test < 5) attention(sides[side], b, test - 2, b->kept[side]);
        }
        if (memcmp(b->kept[0], b->kept[1], sizeof b->kept[0])) differs = test + 1;
    }
    free(b);
    return differs;
}
