/* json_scan, with each instruction set, must find what a plain parser finds. */
#include <stdint.h>
#include <stdlib.h>

#include "support/json_reference.h"
#include "json/base64.h"
#include "json/json_simd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const    names[] = {"scalar", "avx2", "avx512"};
    struct bytes                text = {.data = (const char *)data, .size = size};
    struct byte_buffer          expected = {0}, found = {0};
    enum json_reference_verdict verdict = json_reference_parse(text, &expected);
    size_t                      floats = 0, first_floats = 0;
    bool                        first_is_base64 = false;

    for (size_t i = 0; i < 3 && verdict != JSON_REFERENCE_BORDERLINE; i++) {
        bool is_base64;

        if (!json_simd_use(names[i]))
            continue;
        byte_buffer_clear(&found);
        require(json_reference_scan(text, &found) == verdict);
        require(json_scan_is_valid(text) == (verdict == JSON_REFERENCE_VALID));
        if (verdict == JSON_REFERENCE_VALID)
            require(bytes_equal(byte_buffer_bytes(&found), byte_buffer_bytes(&expected)));
        is_base64 = base64_is_finite_floats(text, &floats);
        if (i == 0) {
            first_is_base64 = is_base64;
            first_floats = floats;
        }
        require(is_base64 == first_is_base64 && (!is_base64 || floats == first_floats));
    }
    byte_buffer_done(&expected);
    byte_buffer_done(&found);
    return 0;
}
