/* Up to sixteen rows quantised together, a group of 32 columns at a time: the same integers as one by one, with the
 * rows' largest values, scales and sums in the lanes of one register each. */

/* Lane r: the largest lane of each of sixteen registers. */
static ALWAYS_INLINE __m512 largest_of_each(const __m512 *x) {
    __m512 pair[8], four[4], eight[2];
    UNROLL for (int i = 0; i < 8; i++) pair[i] = _mm512_max_ps(_mm512_unpacklo_ps(x[2 * i], x[2 * i + 1]), _mm512_unpackhi_ps(x[2 * i], x[2 * i + 1]));
    UNROLL for (int i = 0; i < 4; i++) {
        const __m512d a = _mm512_castps_pd(pair[2 * i]), b = _mm512_castps_pd(pair[2 * i + 1]);
        four[i] = _mm512_max_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(a, b)), _mm512_castpd_ps(_mm512_unpackhi_pd(a, b)));
    }
    UNROLL for (int i = 0; i < 2; i++) eight[i] = _mm512_max_ps(_mm512_shuffle_f32x4(four[2 * i], four[2 * i + 1], 0x88),
                                                                _mm512_shuffle_f32x4(four[2 * i], four[2 * i + 1], 0xdd));
    return _mm512_max_ps(_mm512_shuffle_f32x4(eight[0], eight[1], 0x88), _mm512_shuffle_f32x4(eight[0], eight[1], 0xdd));
}

/* Register j holds, in each quarter L, step L and step 4 + L of row 2 j, then of row 2 j + 1: eight registers of a step
 * each come out, row r in lane r. */
static ALWAYS_INLINE void steps_of_rows(const __m512i *pairs, __m512i *steps) {
    UNROLL for (int half = 0; half < 2; half++) {
        __m512 four[4];
        UNROLL for (int i = 0; i < 4; i++) {
            const __m512 a = _mm512_castsi512_ps(pairs[2 * i]), b = _mm512_castsi512_ps(pairs[2 * i + 1]);
            four[i] = half ? _mm512_shuffle_ps(a, b, 0xdd) : _mm512_shuffle_ps(a, b, 0x88);
        }
        const __m512 a = _mm512_shuffle_f32x4(four[0], four[1], 0x88), b = _mm512_shuffle_f32x4(four[2], four[3], 0x88);
        const __m512 c = _mm512_shuffle_f32x4(four[0], four[1], 0xdd), d = _mm512_shuffle_f32x4(four[2], four[3], 0xdd);
        steps[4 * half] = _mm512_castps_si512(_mm512_shuffle_f32x4(a, b, 0x88));
        steps[4 * half + 1] = _mm512_castps_si512(_mm512_shuffle_f32x4(c, d, 0x88));
        steps[4 * half + 2] = _mm512_castps_si512(_mm512_shuffle_f32x4(a, b, 0xdd));
        steps[4 * half + 3] = _mm512_castps_si512(_mm512_shuffle_f32x4(c, d, 0xdd));
    }
}

static ALWAYS_INLINE __m512i to_bytes_range(__m512 x, __m512 inverse) {
    x = _mm512_min_ps(_mm512_max_ps(_mm512_mul_ps(x, inverse), _mm512_set1_ps(-127.0f)), _mm512_set1_ps(127.0f));
    return _mm512_cvtps_epi32(x);
}

/* One group of N rows (8 or 16; those from `rows` on repeat the first and are not stored). */
static ALWAYS_INLINE void quantise_group(const int N, const float *const *x, int64_t at, int64_t rows, const float *norm,
                                         const float *weight, int8_t *q, int64_t step, float *scale, int32_t *offset) {
    __m512 most[16], part[16][2];
    __m512i pairs[8], steps[8], sum = _mm512_setzero_si512();
    float inverse[16];
    const __mmask16 stored = (__mmask16)((1u << rows) - 1);
    UNROLL for (int r = 0; r < N; r++) {
        const float *row = x[r < rows ? r : 0] + at;
        part[r][0] = _mm512_loadu_ps(row), part[r][1] = _mm512_loadu_ps(row + 16);
        if (norm) {
            const __m512 factor = _mm512_set1_ps(norm[r < rows ? r : 0]);
            part[r][0] = _mm512_mul_ps(_mm512_mul_ps(part[r][0], factor), _mm512_loadu_ps(weight + at));
            part[r][1] = _mm512_mul_ps(_mm512_mul_ps(part[r][1], factor), _mm512_loadu_ps(weight + at + 16));
        }
        most[r] = _mm512_max_ps(_mm512_abs_ps(part[r][0]), _mm512_abs_ps(part[r][1]));
    }
    UNROLL for (int r = N; r < 16; r++) most[r] = most[r - N];
    const __m512 s = _mm512_div_ps(largest_of_each(most), _mm512_set1_ps(127.0f));
    const __mmask16 large = _mm512_cmp_ps_mask(s, _mm512_set1_ps(1e-30f), _CMP_GT_OQ);
    _mm512_storeu_ps(inverse, _mm512_maskz_div_ps(large, _mm512_set1_ps(1.0f), s));
    _mm512_mask_storeu_ps(scale, stored, _mm512_maskz_mov_ps(large, s));
    UNROLL for (int r = 0; r < N; r += 2) {
        __m512i words[2];
        UNROLL for (int i = 0; i < 2; i++) {
            const __m512 factor = _mm512_set1_ps(inverse[r + i]);
            words[i] = _mm512_packs_epi32(to_bytes_range(part[r + i][0], factor), to_bytes_range(part[r + i][1], factor));
        }
        pairs[r / 2] = _mm512_packs_epi16(words[0], words[1]);
    }
    UNROLL for (int i = N / 2; i < 8; i++) pairs[i] = pairs[i - N / 2];
    steps_of_rows(pairs, steps);
    UNROLL for (int k = 0; k < GROUP / 4; k++) {
        sum = _mm512_dpbusd_epi32(sum, _mm512_set1_epi8(1), steps[k]);
        _mm512_mask_storeu_epi32(q + k * step, stored, steps[k]);
    }
    _mm512_mask_storeu_epi32(offset, stored, _mm512_sub_epi32(_mm512_setzero_si512(), _mm512_slli_epi32(sum, 7)));
}

/* See kernels.h; few rows are as fast one by one. */
static void quantise_rows(const float *const *x, int64_t rows, const float *norm, const float *weight, int64_t count,
                          int8_t *q, int64_t q_row, int64_t step, float *scale, int32_t *offset, int64_t group_step) {
    if (rows < 3 || q_row != 4) {
        rows_quantise_each(x, rows, norm, weight, count, q, q_row, step, scale, offset, group_step);
        return;
    }
    for (int64_t at = 0; at < count; at += GROUP, q += GROUP / 4 * step, scale += group_step, offset += group_step) {
        if (rows > 8 && norm) quantise_group(16, x, at, rows, norm, weight, q, step, scale, offset);
        else if (rows > 8) quantise_group(16, x, at, rows, NULL, NULL, q, step, scale, offset);
        else if (norm) quantise_group(8, x, at, rows, norm, weight, q, step, scale, offset);
        else quantise_group(8, x, at, rows, NULL, NULL, q, step, scale, offset);
    }
}
