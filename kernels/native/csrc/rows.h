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

static void rows_norm(const float *x, const float *weight, float eps, int64_t count, float *y) {
    vf squares = v_set(0.0f);
    for (int64_t i = 0; i < count; i += 16) {
        vf a = v_load(x + i);
        squares = v_fma(a, a, squares);
    }
    vf inverse = v_set(1.0f / sqrtf(v_sum(squares) / (float)count + eps));
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
    for (int64_t i = 0; i < half; i++) {
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
