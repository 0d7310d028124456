# The front door. Each target says what it does in the script it calls.
.PHONY: all run test test-long bench interop fuzz lint clean
all:       ; @tools/build
run:       ; @tools/build && ONCE=$(ONCE) examples/shop/run
test:      ; @tools/test
test-long: ; @tools/test_long
bench:     ; @tools/deps bench && tools/build && bench/run
interop:   ; @tools/deps test && tools/build && test/interop/run
fuzz:      ; @tools/fuzz
lint:      ; @tools/lint
clean:     ; rm -rf build build-cost build-test build-clang build-tsan build-fuzz
