/* Sixteen float32 lanes in plain C: the meaning of every other lanes_*.h. */
#ifndef LANES_H
#define LANES_H

#include <math.h>
#include <stdint.h>
#include <string.h>

typedef struct {
    float f[16];
} vf;

#define EACH for (int i = 0; i < 16; i++)
#define UNARY(expression) \
    vf y;                 \
    EACH y.f[i] = expression; \
    return y;

static inline vf v_set(float a) { UNARY(a) }
static inline vf v_load(const float *p) { UNARY(p[i]) }
static inline void v_store(float *p, vf a) { EACH p[i] = a.f[i]; }
static inline vf v_add(vf a, vf b) { UNARY(a.f[i] + b.f[i]) }
static inline vf v_sub(vf a, vf b) { UNARY(a.f[i] - b.f[i]) }
static inline vf v_mul(vf a, vf b) { UNARY(a.f[i] * b.f[i]) }
static inline vf v_div(vf a, vf b) { UNARY(a.f[i] / b.f[i]) }
static inline vf v_fma(vf a, vf b, vf c) { UNARY(fmaf(a.f[i], b.f[i], c.f[i])) }   /* a b + c */
static inline vf v_fnma(vf a, vf b, vf c) { UNARY(fmaf(-a.f[i], b.f[i], c.f[i])) } /* c - a b */
static inline vf v_max(vf a, vf b) { UNARY(a.f[i] > b.f[i] ? a.f[i] : b.f[i]) }    /* b where either is NaN */
static inline vf v_min(vf a, vf b) { UNARY(a.f[i] < b.f[i] ? a.f[i] : b.f[i]) }
static inline vf v_abs(vf a) { UNARY(fabsf(a.f[i])) }
static inline vf v_less(vf a, vf b, vf yes, vf no) { UNARY(a.f[i] < b.f[i] ? yes.f[i] : no.f[i]) }
/* Nearest, ties to even; |a| < 2^22. */
static inline vf v_rint(vf a) {
    vf y;
    EACH {
        volatile float up = a.f[i] + 12582912.0f;
        y.f[i] = up - 12582912.0f;
    }
    return y;
}
/* p times 2^n, n whole, the result normal. */
static inline vf v_pow2(vf p, vf n) {
    vf y;
    EACH {
        uint32_t bits;
        memcpy(&bits, &p.f[i], 4);
        bits += (uint32_t)(int32_t)n.f[i] << 23;
        memcpy(&y.f[i], &bits, 4);
    }
    return y;
}
/* Lanes from..to-1 of a, the others `other`. */
static inline vf v_keep(vf a, int from, int to, float other) { UNARY(i >= from && i < to ? a.f[i] : other) }
static inline float v_sum(vf a) {
    for (int half = 8; half; half /= 2)
        for (int i = 0; i < half; i++) a.f[i] += a.f[i + half];
    return a.f[0];
}
static inline float v_largest(vf a) {
    float most = a.f[0];
    EACH most = most > a.f[i] ? most : a.f[i];
    return most;
}
static inline vf v_load_bf16(const uint16_t *p) {
    vf y;
    EACH {
        uint32_t bits = (uint32_t)p[i] << 16;
        memcpy(&y.f[i], &bits, 4);
    }
    return y;
}
static inline void v_store_bf16(uint16_t *p, vf a) {
    EACH {
        uint32_t bits;
        memcpy(&bits, &a.f[i], 4);
        p[i] = (uint16_t)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
    }
}
/* Whole values in -127..127. */
static inline void v_store_i8(int8_t *p, vf a) { EACH p[i] = (int8_t)a.f[i]; }
/* Bit i: lane i of a is less than lane i of b. */
static inline uint32_t v_below(vf a, vf b) {
    uint32_t mask = 0;
    EACH mask |= (uint32_t)(a.f[i] < b.f[i]) << i;
    return mask;
}

typedef struct {
    uint32_t u[16];
} vi;

#define WHOLE(expression)     \
    vi y;                     \
    EACH y.u[i] = expression; \
    return y;

static inline vi i_set(uint32_t a) { WHOLE(a) }
static inline vi i_load(const int32_t *p) { WHOLE((uint32_t)p[i]) }
static inline vi i_count(uint32_t from) { WHOLE(from + (uint32_t)i) }
static inline vi i_add(vi a, vi b) { WHOLE(a.u[i] + b.u[i]) }
static inline vi i_mul(vi a, vi b) { WHOLE(a.u[i] * b.u[i]) }
static inline vi i_xor(vi a, vi b) { WHOLE(a.u[i] ^ b.u[i]) }
static inline vi i_and(vi a, vi b) { WHOLE(a.u[i] & b.u[i]) }
static inline vi i_right(vi a, int n) { WHOLE(a.u[i] >> n) }
/* With the sign; n below 32. */
static inline vi i_right_signed(vi a, int n) { WHOLE((uint32_t)((int32_t)a.u[i] >> n)) }
static inline vi i_bits(vf a) {
    vi y;
    memcpy(&y, &a, sizeof y);
    return y;
}
static inline vf i_float_bits(vi a) {
    vf y;
    memcpy(&y, &a, sizeof y);
    return y;
}
static inline vf i_signed_to_float(vi a) { UNARY((float)(int32_t)a.u[i]) }

#undef WHOLE
#undef UNARY
#undef EACH
#endif
