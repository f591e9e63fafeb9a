/* Sixteen float32 lanes in four NEON registers. */
#ifndef LANES_H
#define LANES_H

#include <arm_neon.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

typedef struct {
    float32x4_t q[4];
} vf;

#define EACH for (int i = 0; i < 4; i++)
#define MAP(expression)         \
    {                           \
        vf y;                   \
        EACH y.q[i] = expression; \
        return y;               \
    }

static inline vf v_set(float a) MAP(vdupq_n_f32(a))
static inline vf v_load(const float *p) MAP(vld1q_f32(p + 4 * i))
static inline void v_store(float *p, vf a) { EACH vst1q_f32(p + 4 * i, a.q[i]); }
static inline vf v_add(vf a, vf b) MAP(vaddq_f32(a.q[i], b.q[i]))
static inline vf v_sub(vf a, vf b) MAP(vsubq_f32(a.q[i], b.q[i]))
static inline vf v_mul(vf a, vf b) MAP(vmulq_f32(a.q[i], b.q[i]))
static inline vf v_div(vf a, vf b) MAP(vdivq_f32(a.q[i], b.q[i]))
static inline vf v_fma(vf a, vf b, vf c) MAP(vfmaq_f32(c.q[i], a.q[i], b.q[i]))
static inline vf v_fnma(vf a, vf b, vf c) MAP(vfmsq_f32(c.q[i], a.q[i], b.q[i]))
/* By comparison, as the other sets have it: the second where either is NaN or both are zero. */
static inline vf v_max(vf a, vf b) MAP(vbslq_f32(vcgtq_f32(a.q[i], b.q[i]), a.q[i], b.q[i]))
static inline vf v_min(vf a, vf b) MAP(vbslq_f32(vcltq_f32(a.q[i], b.q[i]), a.q[i], b.q[i]))
static inline vf v_abs(vf a) MAP(vabsq_f32(a.q[i]))
static inline vf v_less(vf a, vf b, vf yes, vf no) MAP(vbslq_f32(vcltq_f32(a.q[i], b.q[i]), yes.q[i], no.q[i]))
static inline vf v_rint(vf a) MAP(vrndnq_f32(a.q[i]))
static inline vf v_pow2(vf p, vf n) MAP(vreinterpretq_f32_s32(
    vaddq_s32(vreinterpretq_s32_f32(p.q[i]), vshlq_n_s32(vcvtnq_s32_f32(n.q[i]), 23))))
static inline vf v_keep(vf a, int from, int to, float other) {
    const int32_t numbers[4] = {0, 1, 2, 3};
    vf y;
    EACH {
        int32x4_t lane = vaddq_s32(vld1q_s32(numbers), vdupq_n_s32(4 * i));
        uint32x4_t kept = vandq_u32(vcgeq_s32(lane, vdupq_n_s32(from)), vcltq_s32(lane, vdupq_n_s32(to)));
        y.q[i] = vbslq_f32(kept, a.q[i], vdupq_n_f32(other));
    }
    return y;
}
static inline float v_sum(vf a) {
    float32x4_t q = vaddq_f32(vaddq_f32(a.q[0], a.q[2]), vaddq_f32(a.q[1], a.q[3]));
    float32x2_t h = vadd_f32(vget_low_f32(q), vget_high_f32(q));
    return vget_lane_f32(h, 0) + vget_lane_f32(h, 1);
}
static inline float v_largest(vf a) {
    return vmaxvq_f32(vmaxq_f32(vmaxq_f32(a.q[0], a.q[1]), vmaxq_f32(a.q[2], a.q[3])));
}
static inline vf v_load_bf16(const uint16_t *p) MAP(vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p + 4 * i), 16)))
static inline void v_store_bf16(uint16_t *p, vf a) {
    EACH {
        uint32x4_t bits = vreinterpretq_u32_f32(a.q[i]);
        uint32x4_t odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
        bits = vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7fff)));
        vst1_u16(p + 4 * i, vshrn_n_u32(bits, 16));
    }
}
static inline void v_store_i8(int8_t *p, vf a) {
    int16x8_t lo = vcombine_s16(vqmovn_s32(vcvtnq_s32_f32(a.q[0])), vqmovn_s32(vcvtnq_s32_f32(a.q[1])));
    int16x8_t hi = vcombine_s16(vqmovn_s32(vcvtnq_s32_f32(a.q[2])), vqmovn_s32(vcvtnq_s32_f32(a.q[3])));
    vst1q_s8(p, vcombine_s8(vqmovn_s16(lo), vqmovn_s16(hi)));
}
static inline uint32_t v_below(vf a, vf b) {
    const uint32_t places[4] = {1, 2, 4, 8};
    uint32_t mask = 0;
    EACH mask |= vaddvq_u32(vandq_u32(vcltq_f32(a.q[i], b.q[i]), vld1q_u32(places))) << 4 * i;
    return mask;
}

typedef struct {
    uint32x4_t q[4];
} vi;

#define WHOLE(expression)         \
    {                             \
        vi y;                     \
        EACH y.q[i] = expression; \
        return y;                 \
    }

static inline vi i_set(uint32_t a) WHOLE(vdupq_n_u32(a))
static inline vi i_load(const int32_t *p) WHOLE(vreinterpretq_u32_s32(vld1q_s32(p + 4 * i)))
static inline vi i_count(uint32_t from) {
    const uint32_t lane[4] = {0, 1, 2, 3};
    vi y;
    EACH y.q[i] = vaddq_u32(vdupq_n_u32(from + 4 * (uint32_t)i), vld1q_u32(lane));
    return y;
}
static inline vi i_add(vi a, vi b) WHOLE(vaddq_u32(a.q[i], b.q[i]))
static inline vi i_mul(vi a, vi b) WHOLE(vmulq_u32(a.q[i], b.q[i]))
static inline vi i_xor(vi a, vi b) WHOLE(veorq_u32(a.q[i], b.q[i]))
static inline vi i_and(vi a, vi b) WHOLE(vandq_u32(a.q[i], b.q[i]))
static inline vi i_right(vi a, int n) WHOLE(vshlq_u32(a.q[i], vdupq_n_s32(-n)))
static inline vi i_right_signed(vi a, int n)
    WHOLE(vreinterpretq_u32_s32(vshlq_s32(vreinterpretq_s32_u32(a.q[i]), vdupq_n_s32(-n))))
static inline vi i_bits(vf a) WHOLE(vreinterpretq_u32_f32(a.q[i]))
static inline vf i_float_bits(vi a) MAP(vreinterpretq_f32_u32(a.q[i]))
static inline vf i_signed_to_float(vi a) MAP(vcvtq_f32_s32(vreinterpretq_s32_u32(a.q[i])))

#undef WHOLE
#undef MAP
#undef EACH
#endif
