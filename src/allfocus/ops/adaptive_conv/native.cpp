// One iteration of the adaptive convolution and its gradient on a CPU: vertical filter, horizontal filter, bias,
// LeakyReLU. Pictures are channels last, (B, H, W, C); filters (B, H, W, 7*C), or (B, H, W, 4*C) for tied ones, in the
// order of `check_planes`. Sums are taken in the type of the picture; filters may be bfloat16. Borders are replicated.
// Compiled by native.py, called through ctypes.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <thread>
#include <vector>

namespace {

struct BFloat16 {
    std::uint16_t bits;
};

inline float widen(float value) { return value; }
inline double widen(double value) { return value; }
inline float widen(BFloat16 value) {
    std::uint32_t bits = std::uint32_t(value.bits) << 16;
    float wide;
    std::memcpy(&wide, &bits, sizeof wide);
    return wide;
}

inline void narrow(float value, float& to) { to = value; }
inline void narrow(double value, double& to) { to = value; }
inline void narrow(float value, BFloat16& to) {
    std::uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    // to nearest, ties to even; a NaN stays one
    std::uint32_t rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16;
    to.bits = value != value ? 0x7FC0 : std::uint16_t(rounded);
}

struct Shape {
    std::int64_t batch, height, width, channels, planes;
    double slope;
    bool activate;
};

template <class Work>
void over_images(std::int64_t batch, std::int64_t threads, Work work) {
    threads = std::max<std::int64_t>(1, std::min(threads, batch));
    if (threads == 1) {
        for (std::int64_t image = 0; image < batch; ++image) work(image);
        return;
    }
    std::vector<std::thread> pool;
    for (std::int64_t first = 0; first < threads; ++first)
        pool.emplace_back([=] {
            for (std::int64_t image = first; image < batch; image += threads) work(image);
        });
    for (auto& one : pool) one.join();
}

// The vertical filter of one row: (W, C).
template <class T, class F>
void filter_column(const T* picture, const F* filters, const Shape& shape, std::int64_t y, T* column) {
    const std::int64_t line = shape.width * shape.channels, channels = shape.channels;
    const T* here = picture + y * line;
    const T* above = y > 0 ? here - line : here;
    const T* below = y + 1 < shape.height ? here + line : here;
    for (std::int64_t x = 0; x < shape.width; ++x) {
        const F* taps = filters + (y * shape.width + x) * shape.planes * channels;
        const std::int64_t at = x * channels;
#pragma GCC ivdep
        for (std::int64_t c = 0; c < channels; ++c)
            column[at + c] = widen(taps[c]) * above[at + c] + widen(taps[channels + c]) * here[at + c] +
                             widen(taps[2 * channels + c]) * below[at + c];
    }
}

template <class T, class F>
void forward(const T* features, const F* filters, T* output, const Shape& shape, std::int64_t threads) {
    const std::int64_t line = shape.width * shape.channels, channels = shape.channels;
    const std::int64_t sideways = shape.planes == 4 ? 0 : 3 * channels, bias = (shape.planes - 1) * channels;
    const T slope = T(shape.slope);
    over_images(shape.batch, threads, [=](std::int64_t image) {
        const T* picture = features + image * shape.height * line;
        const F* own = filters + image * shape.height * line * shape.planes;
        std::vector<T> column(line);
        for (std::int64_t y = 0; y < shape.height; ++y) {
            filter_column(picture, own, shape, y, column.data());
            T* row = output + (image * shape.height + y) * line;
            for (std::int64_t x = 0; x < shape.width; ++x) {
                const F* pixel = own + (y * shape.width + x) * shape.planes * channels;
                const F *taps = pixel + sideways, *offset = pixel + bias;
                const T* here = column.data() + x * channels;
                const T* left = x > 0 ? here - channels : here;
                const T* right = x + 1 < shape.width ? here + channels : here;
                T* to = row + x * channels;
#pragma GCC ivdep
                for (std::int64_t c = 0; c < channels; ++c) {
                    const T sum = widen(taps[c]) * left[c] + widen(taps[channels + c]) * here[c] +
                                  widen(taps[2 * channels + c]) * right[c] + widen(offset[c]);
                    to[c] = shape.activate && !(sum > 0) ? slope * sum : sum;
                }
            }
        }
    });
}

template <class T, class F>
void backward(const T* gradient, const T* features, const F* filters, const T* output, T* features_gradient,
              F* filters_gradient, const Shape& shape, std::int64_t threads) {
    const std::int64_t line = shape.width * shape.channels, channels = shape.channels;
    const bool tied = shape.planes == 4;
    const std::int64_t sideways = tied ? 0 : 3 * channels, bias = (shape.planes - 1) * channels;
    const T slope = T(shape.slope);
    over_images(shape.batch, threads, [=](std::int64_t image) {
        const std::int64_t start = image * shape.height * line;
        const T* picture = features + start;
        const F* own = filters + start * shape.planes;
        F* own_gradient = filters_gradient + start * shape.planes;
        T* collected = features_gradient + start;
        std::fill(collected, collected + shape.height * line, T(0));
        std::vector<T> column(line), row_gradient(line), column_gradient(line);
        for (std::int64_t y = 0; y < shape.height; ++y) {
            filter_column(picture, own, shape, y, column.data());
            const T* given = gradient + start + y * line;
            const T* made = output + start + y * line;
#pragma GCC ivdep
            for (std::int64_t k = 0; k < line; ++k) {
                row_gradient[k] = shape.activate && !(made[k] > 0) ? slope * given[k] : given[k];
                column_gradient[k] = 0;
            }
            for (std::int64_t x = 0; x < shape.width; ++x) {  // each pixel hands on to those that it read
                const F* taps = own + (y * shape.width + x) * shape.planes * channels + sideways;
                const T* from = row_gradient.data() + x * channels;
                T* here = column_gradient.data() + x * channels;
                T* left = x > 0 ? here - channels : here;
                T* right = x + 1 < shape.width ? here + channels : here;
                for (std::int64_t c = 0; c < channels; ++c) here[c] += widen(taps[channels + c]) * from[c];
                for (std::int64_t c = 0; c < channels; ++c) left[c] += widen(taps[c]) * from[c];
                for (std::int64_t c = 0; c < channels; ++c) right[c] += widen(taps[2 * channels + c]) * from[c];
            }
            const T* here = picture + y * line;
            const std::int64_t up = y > 0 ? -line : 0, down = y + 1 < shape.height ? line : 0;
            T* to = collected + y * line;
            for (std::int64_t x = 0; x < shape.width; ++x) {
                const std::int64_t at = x * channels, left = x > 0 ? -channels : 0;
                const std::int64_t right = x + 1 < shape.width ? channels : 0;
                const F* taps = own + (y * shape.width + x) * shape.planes * channels;
                F* slot = own_gradient + (y * shape.width + x) * shape.planes * channels;
                const T *of_row = row_gradient.data() + at, *of_column = column_gradient.data() + at;
                const T *seen = here + at, *filtered = column.data() + at;
#pragma GCC ivdep
                for (std::int64_t c = 0; c < channels; ++c) {
                    T before = of_column[c] * seen[up + c], middle = of_column[c] * seen[c];
                    T after = of_column[c] * seen[down + c];
                    const T west = of_row[c] * filtered[left + c], centre = of_row[c] * filtered[c];
                    const T east = of_row[c] * filtered[right + c];
                    if (tied) {
                        before += west, middle += centre, after += east;
                    } else {
                        narrow(west, slot[3 * channels + c]);
                        narrow(centre, slot[4 * channels + c]);
                        narrow(east, slot[5 * channels + c]);
                    }
                    narrow(before, slot[c]);
                    narrow(middle, slot[channels + c]);
                    narrow(after, slot[2 * channels + c]);
                    narrow(of_row[c], slot[bias + c]);
                }
                for (std::int64_t c = 0; c < channels; ++c) to[at + c] += widen(taps[channels + c]) * of_column[c];
                for (std::int64_t c = 0; c < channels; ++c) to[at + up + c] += widen(taps[c]) * of_column[c];
                for (std::int64_t c = 0; c < channels; ++c)
                    to[at + down + c] += widen(taps[2 * channels + c]) * of_column[c];
            }
        }
    });
}

}  // namespace

#define EXPORTED(NAME, T, F)                                                                                          \
    extern "C" void forward_##NAME(const T* features, const F* filters, T* output, const Shape* shape,                \
                                   std::int64_t threads) {                                                            \
        forward<T, F>(features, filters, output, *shape, threads);                                                    \
    }                                                                                                                 \
    extern "C" void backward_##NAME(const T* gradient, const T* features, const F* filters, const T* output,          \
                                    T* features_gradient, F* filters_gradient, const Shape* shape,                    \
                                    std::int64_t threads) {                                                           \
        backward<T, F>(gradient, features, filters, output, features_gradient, filters_gradient, *shape, threads);    \
    }

EXPORTED(float32_bfloat16, float, BFloat16)
EXPORTED(float32_float32, float, float)
EXPORTED(float64_float64, double, double)
