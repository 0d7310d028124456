/* What a fuzz target is: one function over bytes, and checks that abort. libFuzzer calls it with
 * what it invents, replay.c with the corpus. */
#pragma once

#include "base/ensure.h"
#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline struct text input_text(const uint8_t *data, size_t size)
{
    return text_of((const char *)data, size);
}
