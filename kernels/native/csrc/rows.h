/* Work along one row: quantising, norm, gated activation, residual, soft-cap, rotary, storing keys and values. */

static void rows_quantise(const float *x, int64_t count, int8_t *q, int64_t step, float *scale, int32_t *offset,
                          int64_t group_step) {
    const vf most = v_set(127.0f), least = v_set(-127.0f);
    for (int64_t g = 0; g < count / GROUP; g++, x += GROUP, scale += group_step, offset += group_step) {
        vf a = v_load(x), b = v_load(x + 16);
        float s = v_largest(v_max(v_abs(a), v_abs(b))) / 127.0f;
        float inverse = s > 1e-30f ? 1.0f / s : 0.0f; /* below, the inverse would overflow */
        vf r = v_set(inverse);
        a = v_rint(v_min(v_max(v_mul(a, r), least), most));
        b = v_rint(v_min(v_max(v_mul(b, r), least), most));
        *scale = s > 1e-30f ? s : 0.0f;
        *offset = -128 * (int32_t)v_sum(v_add(a, b)); /* whole numbers below 2^24: exact in any order */
        if (step == 4) {
            v_store_i8(q, a);
            v_store_i8(q + 16, b);
            q += GROUP;
            continue;
        }
        int32_t packed[GROUP / 4];
        v_store_i8((int8_t *)packed, a);
        v_store_i8((int8_t *)packed + 16, b);
        for (int i = 0; i < GROUP / 4; i++, q += step) memcpy(q, &packed[i], 4);
    }
}

/* Rows one by one, each first multiplied by its norm[r] and by weight (unless norm is NULL). */
static void rows_quantise_each(const float *const *x, int64_t rows, const float *norm, const float *weight, int64_t count,
                               int8_t *q, int64_t q_row, int64_t step, float *scale, int32_t *offset, int64_t group_step) {
    float line[GROUP];
    for (int64_t r = 0; r < rows; r++, q += q_row, scale++, offset++) {
        if (!norm) {
            rows_quantise(x[r], count, q, step, scale, offset, group_step);
            continue;
        }
        for (int64_t g = 0; g < count / GROUP; g++) {
            for (int64_t i = 0, at = g * GROUP; i < GROUP; i += 16)
                v_store(line + i, v_mul(v_mul(v_load(x[r] + at + i), v_set(norm[r])), v_load(weight + at + i)));
            rows_quantise(line, GROUP, q + g * (GROUP / 4) * step, step, scale + g * group_step, offset + g * group_step,
                          group_step);
        }
    }
}

static inline float inverse_norm(vf squares, float eps, int64_t count) {
    return 1.0f / sqrtf(v_sum(squares) / (float)count + eps);
}

/* What a norm multiplies each row by. Four rows at a time: each sum is a chain. */
static void rows_norms(const float *const *x, int64_t rows, float eps, int64_t count, float *norm) {
    for (int64_t r = 0; r < rows; r += 4) {
        const int64_t last = rows - 1;
        const float *row[4] = {x[r], x[less(r + 1, last)], x[less(r + 2, last)], x[less(r + 3, last)]};
        vf squares[4];
        UNROLL for (int i = 0; i < 4; i++) squares[i] = v_set(0.0f);
        for (int64_t k = 0; k < count; k += 16)
            UNROLL for (int i = 0; i < 4; i++) squares[i] = v_fma(v_load(row[i] + k), v_load(row[i] + k), squares[i]);
        for (int i = 0; i < 4 && r + i < rows; i++) norm[r + i] = inverse_norm(squares[i], eps, count);
    }
}

static void rows_norm(const float *x, const float *weight, float eps, int64_t count, float *y) {
    vf squares = v_set(0.0f);
    for (int64_t i = 0; i < count; i += 16) {
        vf a = v_load(x + i);
        squares = v_fma(a, a, squares);
    }
    vf inverse = v_set(inverse_norm(squares, eps, count));
    for (int64_t i = 0; i < count; i += 16)
        v_store(y + i, v_mul(v_mul(v_load(x + i), inverse), v_load(weight + i)));
}

static void rows_gated(int32_t activation, const float *gate, const float *up, int64_t count, float *y) {
    for (int64_t i = 0; i < count; i += 16) {
        vf g = v_load(gate + i);
        g = activation == ACT_SILU ? v_silu(g) : v_gelu_tanh(g);
        v_store(y + i, v_mul(g, v_load(up + i)));
    }
}

static void rows_add_scaled(float *x, int64_t x_stride, const float *y, int64_t y_stride, float scale, int64_t rows) {
    vf s = v_set(scale);
    for (int64_t r = 0; r < rows; r++, x += x_stride, y += y_stride) v_store(x, v_fma(v_load(y), s, v_load(x)));
}

static void rows_scale_cap(float *x, float scale, float cap, int64_t count) {
    vf s = v_set(cap > 0 ? scale / cap : scale), c = v_set(cap);
    for (int64_t i = 0; i < count; i += 16) {
        vf a = v_mul(v_load(x + i), s);
        v_store(x + i, cap > 0 ? v_mul(v_tanh(a), c) : a);
    }
}

/* Pairs (i, i + half), as rotate_half has them. */
static void rows_rotate(float *head, const float *cosine, const float *sine, int64_t half) {
    int64_t i = 0;
    for (; i + 16 <= half; i += 16) {
        vf a = v_load(head + i), b = v_load(head + i + half), c = v_load(cosine + i), s = v_load(sine + i);
        v_store(head + i, v_fnma(b, s, v_mul(a, c)));
        v_store(head + i + half, v_fma(a, s, v_mul(b, c)));
    }
    for (; i < half; i++) {
        float a = head[i], b = head[i + half];
        head[i] = __builtin_fmaf(-b, sine[i], a * cosine[i]);
        head[i + half] = __builtin_fmaf(a, sine[i], b * cosine[i]);
    }
}

/* x [dim] into column slot of the keys' panels, or row slot of the values (whichever is not NULL). */
static void rows_store(const float *x, int64_t dim, void *keys, void *values, int64_t slot, int32_t dtype) {
    uint16_t half[16];
    for (int64_t d = 0; d < dim; d += 16) {
        int64_t column = (slot / 16 * dim + d) * 16 + slot % 16;
        if (dtype == KV_BFLOAT16) {
            v_store_bf16(half, v_load(x + d));
            if (values) memcpy((uint16_t *)values + slot * dim + d, half, sizeof half);
            for (int i = 0; keys && i < 16; i++) ((uint16_t *)keys)[column + 16 * i] = half[i];
        } else {
            if (values) v_store((float *)values + slot * dim + d, v_load(x + d));
            for (int i = 0; keys && i < 16; i++) ((float *)keys)[column + 16 * i] = x[d + i];
        }
    }
}
