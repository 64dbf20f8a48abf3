# Finds LLVM and MLIR 22 and defines kt_mlir, what every compiler library links. An executable gets the two shared libraries with it, or, when it
# has the property KT_STATIC, the static archives: never both, LLVM refuses that at start.
find_package(MLIR 22.1 REQUIRED CONFIG HINTS /usr/lib/llvm-22/lib/cmake/mlir)
list(APPEND CMAKE_MODULE_PATH "${MLIR_CMAKE_DIR}" "${LLVM_CMAKE_DIR}")
include(TableGen)
include(AddLLVM)
include(AddMLIR)

add_library(kt_llvm_shared INTERFACE)
target_link_libraries(kt_llvm_shared INTERFACE ${LLVM_LIBRARY_DIR}/libMLIR.so ${LLVM_LIBRARY_DIR}/libLLVM.so)

file(GLOB KT_MLIR_ARCHIVES ${LLVM_LIBRARY_DIR}/libMLIR*.a)
list(FILTER KT_MLIR_ARCHIVES EXCLUDE REGEX "MLIR(CAPI|Test|.*Python|Lsp|.*Lsp|Opt|Reduce|.*Runner|.*ExecutionEngine|JitRunner|.*Query).*")
execute_process(COMMAND ${LLVM_TOOLS_BINARY_DIR}/llvm-config --link-static --libfiles core passes irreader jitlink nvptx x86 target
                OUTPUT_VARIABLE KT_LLVM_ARCHIVES OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
separate_arguments(KT_LLVM_ARCHIVES)
find_library(KT_ZLIB_ARCHIVE libz.a REQUIRED)
find_library(KT_ZSTD_ARCHIVE libzstd.a REQUIRED)
add_library(kt_llvm_static INTERFACE)
target_link_libraries(kt_llvm_static INTERFACE ${KT_MLIR_ARCHIVES} ${KT_LLVM_ARCHIVES} ${KT_ZLIB_ARCHIVE} ${KT_ZSTD_ARCHIVE})
target_link_options(kt_llvm_static INTERFACE -static-libstdc++ -static-libgcc)

add_library(kt_mlir INTERFACE)
target_include_directories(kt_mlir SYSTEM INTERFACE ${LLVM_INCLUDE_DIRS} ${MLIR_INCLUDE_DIRS})
target_link_libraries(kt_mlir INTERFACE $<IF:$<BOOL:$<TARGET_PROPERTY:KT_STATIC>>,kt_llvm_static,kt_llvm_shared>)

# One precompiled header of what nearly every compiler source includes serves every compiler library: MLIR's headers cost ten seconds a file without it.
# Named here and not in a header of ours, whose absolute path would keep ccache from serving another worktree.
add_library(kt_pch OBJECT ${CMAKE_CURRENT_LIST_DIR}/Pch.cpp)
target_link_libraries(kt_pch PRIVATE kt_mlir)
target_compile_options(kt_pch PRIVATE -fno-rtti -fno-exceptions)
target_precompile_headers(kt_pch PRIVATE
  <mlir/Dialect/Arith/IR/Arith.h>
  <mlir/Dialect/LLVMIR/LLVMDialect.h>
  <mlir/Dialect/LLVMIR/NVVMDialect.h>
  <mlir/Dialect/Math/IR/Math.h>
  <mlir/Dialect/SCF/IR/SCF.h>
  <mlir/Dialect/Vector/IR/VectorOps.h>
  <mlir/IR/Builders.h>
  <mlir/IR/BuiltinOps.h>
  <mlir/IR/IRMapping.h>
  <mlir/IR/PatternMatch.h>
  <mlir/Pass/Pass.h>
  <mlir/Pass/PassManager.h>
  <mlir/Transforms/GreedyPatternRewriteDriver.h>)

# kt_compiler_library(NAME source... [DEPENDS target...])
function(kt_compiler_library name)
  cmake_parse_arguments(ARG "" "" "DEPENDS" ${ARGN})
  add_library(${name} STATIC ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PUBLIC kt_mlir ${ARG_DEPENDS})
  target_compile_options(${name} PRIVATE -fno-rtti -fno-exceptions)
  target_precompile_headers(${name} REUSE_FROM kt_pch)
endfunction()
