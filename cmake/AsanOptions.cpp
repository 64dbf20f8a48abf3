//===- AsanOptions.cpp - defaults of AddressSanitizer ---------------------===//
//
// LLVM's headers poison the unused part of an allocator's blocks. libMLIR is not instrumented, shares those blocks and
// does not unpoison what it takes, so every program would stop there.
//
//===----------------------------------------------------------------------===//

extern "C" __attribute__((visibility("default"), used)) const char *__asan_default_options() {
  return "allow_user_poisoning=0";
}
