/* Sixteen float32 lanes in two AVX2 registers, with FMA. */
#ifndef LANES_H
#define LANES_H

#include <immintrin.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

typedef struct {
    __m256 lo, hi;
} vf;

#define BOTH(expression_lo, expression_hi) return (vf){expression_lo, expression_hi};

static inline vf v_set(float a) { BOTH(_mm256_set1_ps(a), _mm256_set1_ps(a)) }
static inline vf v_load(const float *p) { BOTH(_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)) }
static inline void v_store(float *p, vf a) {
    _mm256_storeu_ps(p, a.lo);
    _mm256_storeu_ps(p + 8, a.hi);
}
static inline vf v_add(vf a, vf b) { BOTH(_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)) }
static inline vf v_sub(vf a, vf b) { BOTH(_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi)) }
static inline vf v_mul(vf a, vf b) { BOTH(_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)) }
static inline vf v_div(vf a, vf b) { BOTH(_mm256_div_ps(a.lo, b.lo), _mm256_div_ps(a.hi, b.hi)) }
static inline vf v_fma(vf a, vf b, vf c) { BOTH(_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)) }
static inline vf v_fnma(vf a, vf b, vf c) {
    BOTH(_mm256_fnmadd_ps(a.lo, b.lo, c.lo), _mm256_fnmadd_ps(a.hi, b.hi, c.hi))
}
static inline vf v_max(vf a, vf b) { BOTH(_mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi)) }
static inline vf v_min(vf a, vf b) { BOTH(_mm256_min_ps(a.lo, b.lo), _mm256_min_ps(a.hi, b.hi)) }
static inline vf v_abs(vf a) {
    const __m256 sign = _mm256_set1_ps(-0.0f);
    BOTH(_mm256_andnot_ps(sign, a.lo), _mm256_andnot_ps(sign, a.hi))
}
static inline vf v_less(vf a, vf b, vf yes, vf no) {
    BOTH(_mm256_blendv_ps(no.lo, yes.lo, _mm256_cmp_ps(a.lo, b.lo, _CMP_LT_OQ)),
         _mm256_blendv_ps(no.hi, yes.hi, _mm256_cmp_ps(a.hi, b.hi, _CMP_LT_OQ)))
}
static inline vf v_rint(vf a) {
    BOTH(_mm256_round_ps(a.lo, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC),
         _mm256_round_ps(a.hi, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC))
}
static inline __m256 pow2_half(__m256 p, __m256 n) {
    return _mm256_castsi256_ps(
        _mm256_add_epi32(_mm256_castps_si256(p), _mm256_slli_epi32(_mm256_cvtps_epi32(n), 23)));
}
static inline vf v_pow2(vf p, vf n) { BOTH(pow2_half(p.lo, n.lo), pow2_half(p.hi, n.hi)) }
static inline __m256 keep_half(__m256 a, int from, int to, __m256 other) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    __m256i kept = _mm256_andnot_si256(_mm256_cmpgt_epi32(_mm256_set1_epi32(from), lane),
                                       _mm256_cmpgt_epi32(_mm256_set1_epi32(to), lane));
    return _mm256_blendv_ps(other, a, _mm256_castsi256_ps(kept));
}
static inline vf v_keep(vf a, int from, int to, float other) {
    const __m256 o = _mm256_set1_ps(other);
    BOTH(keep_half(a.lo, from, to, o), keep_half(a.hi, from - 8, to - 8, o))
}
static inline float v_sum(vf a) {
    __m256 h = _mm256_add_ps(a.lo, a.hi);
    __m128 q = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    q = _mm_add_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_add_ss(q, _mm_shuffle_ps(q, q, 1)));
}
static inline float v_largest(vf a) {
    __m256 h = _mm256_max_ps(a.lo, a.hi);
    __m128 q = _mm_max_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    q = _mm_max_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_max_ss(q, _mm_shuffle_ps(q, q, 1)));
}
static inline __m256 bf16_half(const uint16_t *p) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p)), 16));
}
static inline vf v_load_bf16(const uint16_t *p) { BOTH(bf16_half(p), bf16_half(p + 8)) }
static inline __m256i to_bf16(__m256 a) {
    __m256i bits = _mm256_castps_si256(a);
    __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    return _mm256_srli_epi32(_mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff))), 16);
}
static inline void v_store_bf16(uint16_t *p, vf a) { /* packing interleaves the halves' quarters */
    __m256i both = _mm256_packus_epi32(to_bf16(a.lo), to_bf16(a.hi));
    _mm256_storeu_si256((__m256i *)p, _mm256_permute4x64_epi64(both, 0xd8));
}
static inline void v_store_i8(int8_t *p, vf a) {
    __m256i both = _mm256_packs_epi32(_mm256_cvtps_epi32(a.lo), _mm256_cvtps_epi32(a.hi));
    both = _mm256_permute4x64_epi64(both, 0xd8);
    _mm_storeu_si128((__m128i *)p, _mm_packs_epi16(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1)));
}
static inline uint32_t v_below(vf a, vf b) {
    return (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(a.lo, b.lo, _CMP_LT_OQ)) |
           (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(a.hi, b.hi, _CMP_LT_OQ)) << 8;
}

typedef struct {
    __m256i lo, hi;
} vi;

#define WHOLE(expression_lo, expression_hi) return (vi){expression_lo, expression_hi};

static inline vi i_set(uint32_t a) { WHOLE(_mm256_set1_epi32((int)a), _mm256_set1_epi32((int)a)) }
static inline vi i_load(const int32_t *p) {
    WHOLE(_mm256_loadu_si256((const __m256i *)p), _mm256_loadu_si256((const __m256i *)(p + 8)))
}
static inline vi i_count(uint32_t from) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    WHOLE(_mm256_add_epi32(_mm256_set1_epi32((int)from), lane), _mm256_add_epi32(_mm256_set1_epi32((int)(from + 8)), lane))
}
static inline vi i_add(vi a, vi b) { WHOLE(_mm256_add_epi32(a.lo, b.lo), _mm256_add_epi32(a.hi, b.hi)) }
static inline vi i_mul(vi a, vi b) { WHOLE(_mm256_mullo_epi32(a.lo, b.lo), _mm256_mullo_epi32(a.hi, b.hi)) }
static inline vi i_xor(vi a, vi b) { WHOLE(_mm256_xor_si256(a.lo, b.lo), _mm256_xor_si256(a.hi, b.hi)) }
static inline vi i_and(vi a, vi b) { WHOLE(_mm256_and_si256(a.lo, b.lo), _mm256_and_si256(a.hi, b.hi)) }
static inline vi i_right(vi a, int n) {
    WHOLE(_mm256_srl_epi32(a.lo, _mm_cvtsi32_si128(n)), _mm256_srl_epi32(a.hi, _mm_cvtsi32_si128(n)))
}
static inline vi i_right_signed(vi a, int n) {
    WHOLE(_mm256_sra_epi32(a.lo, _mm_cvtsi32_si128(n)), _mm256_sra_epi32(a.hi, _mm_cvtsi32_si128(n)))
}
static inline vi i_bits(vf a) { WHOLE(_mm256_castps_si256(a.lo), _mm256_castps_si256(a.hi)) }
static inline vf i_float_bits(vi a) { BOTH(_mm256_castsi256_ps(a.lo), _mm256_castsi256_ps(a.hi)) }
static inline vf i_signed_to_float(vi a) { BOTH(_mm256_cvtepi32_ps(a.lo), _mm256_cvtepi32_ps(a.hi)) }

#undef WHOLE
#undef BOTH
#endif
