// RUN: kt-opt %s | kt-opt - -o /dev/null
//
// kt.conv: strides, dilation, groups, depthwise, transposed, one to three dimensions. A bias is added in all; p0 is the number of images.

kt.kernel @conv3x3_f16 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0, 9, 11, 16] x f16>, %w: !kt.tensor<[1, 2, 9, 16, 16] x f16>, %b: !kt.tensor<[24] x f16>):
  %r = kt.conv %x, %w extras(%b : !kt.tensor<[24] x f16>)
      {kernel = array<i64: 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, input_dilations = array<i64: 1, 1>,
       pads = [#kt.expr<1>, #kt.expr<1>], groups = 1 : i64}
      : !kt.tensor<[p0, 9, 11, 16] x f16>, !kt.tensor<[1, 2, 9, 16, 16] x f16> -> !kt.tensor<[p0, 9, 11, 24] x f16> epilogue {
  ^bb0(%acc: f32, %B: !kt.tensor<[24] x f16>, %i0: index, %i1: index, %i2: index, %i3: index):
    %0 = kt.read %B[%i3] : !kt.tensor<[24] x f16> -> f16
    %1 = arith.extf %0 : f16 to f32
    %2 = arith.addf %acc, %1 : f32
    %e = arith.truncf %2 : f32 to f16
    kt.yield %e : f16
  }
  kt.yield %r : !kt.tensor<[p0, 9, 11, 24] x f16>
}

kt.kernel @conv_no_batch_f16 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0, 9, 11, 16] x f16>, %w: !kt.tensor<[1, 2, 9, 16, 16] x f16>, %b: !kt.tensor<[24] x f16>):
  %r = kt.conv %x, %w extras(%b : !kt.tensor<[24] x f16>)
      {kernel = array<i64: 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, input_dilations = array<i64: 1, 1>,
       pads = [#kt.expr<1>, #kt.expr<1>], groups = 1 : i64}
      : !kt.tensor<[p0, 9, 11, 16] x f16>, !kt.tensor<[1, 2, 9, 16, 16] x f16> -> !kt.tensor<[p0, 9, 11, 24] x f16> epilogue {
  ^bb0(%acc: f32, %B: !kt.tensor<[24] x f16>, %i0: index, %i1: index, %i2: index, %i3: index):
    %0 = kt.read %B[%i3] : !kt.tensor<[24] x f16> -> f16
    %1 = arith.extf %0 : f16 to f32
    %2 = arith.addf %acc, %1 : f32
    %e = arith.truncf %2 : f32 to f16
    kt.yield %e : f16
  }
  kt.yield %r : !kt.tensor<[p0, 9, 11, 24] x f16>
}

kt.kernel @conv_no_batch_f32 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0, 7, 6] x f32>, %w: !kt.tensor<[1, 1, 4, 6, 16] x f32>, %b: !kt.tensor<[10] x f32>):
  %r = kt.conv %x, %w extras(%b : !kt.tensor<[10] x f32>)
      {kernel = array<i64: 4>, strides = array<i64: 1>, dilations = array<i64: 1>, input_dilations = array<i64: 1>,
       pads = [#kt.expr<1>], groups = 1 : i64}
      : !kt.tensor<[p0, 7, 6] x f32>, !kt.tensor<[1, 1, 4, 6, 16] x f32> -> !kt.tensor<[p0, 6, 10] x f32> epilogue {
  ^bb0(%acc: f32, %B: !kt.tensor<[10] x f32>, %i0: index, %i1: index, %i2: index):
    %0 = kt.read %B[%i2] : !kt.tensor<[10] x f32> -> f32
    %e = arith.addf %acc, %0 : f32
    kt.yield %e : f32
  }
  kt.yield %r : !kt.tensor<[p0, 6, 10] x f32>
}

kt.kernel @conv3x3_bf16 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0, 7, 6, 8] x bf16>, %w: !kt.tensor<[1, 1, 9, 8, 16] x bf16>, %b: !kt.tensor<[16] x bf16>):
  %r = kt.conv %x, %w extras(%b : !kt.tensor<[16] x bf16>)
      {kernel = array<i64: 3, 3>, strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, input_dilations = array<i64: 1, 1>,
       pads = [#kt.expr<1>, #kt.expr<1>], groups = 1 : i64}
      : !kt.tensor<[p0, 7, 6, 8] x bf16>, !kt.tensor<[1, 1, 9, 8, 16] x bf16> -> !kt.tensor<[p0, 4, 3, 16] x bf16> epilogue {
  ^bb0(%acc: f32, %B: !kt.tensor<[16] x bf16>, %i0: index, %i1: index, %i2: index, %i3: index):
    %0 = kt.read %B[%i3] : !kt.tensor<[16] x bf16> -> bf16
    %1 = arith.extf %0 : bf16 to f32
    %2 = arith.addf %acc, %1 : f32
    %e = arith.truncf %2 : f32 to bf16
    kt.yield %e : bf16
  }
  kt.yield %r : !kt.tensor<[p0, 4, 3, 16] x bf16>
}

kt.kernel @conv_stem_f16 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0, 13, 13, 3] x f16>, %w: !kt.tensor<[1, 2, 25, 3, 16] x f16>, %b: !kt.tensor<[20] x f16>):
  %r = kt.conv %x, %w extras(%b : !kt.tensor<[20] x f16>)
      {kernel = array<i64: 5, 5>, strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, input_dilations = array<i64: 1, 1>,
       pads = [#kt.expr<2>, #kt.expr<2>], groups = 1 : i64}
      : !kt.tensor<[p0, 13, 13, 3] x f16>, !kt.tensor<[1, 2, 25, 3, 16] x f16> -> !kt.tensor<[p0, 7, 7, 20] x f16> epilogue {
  ^bb0(%acc: f32, %B: !kt.tensor<[20] x f16>, %i0: index, %i1: index, %i2: index, %i3: index):
    %0 = kt.read %B[%i3] : !kt.tensor<[20] x f16> -> f16
    %1 = arith.extf %0 : f16 to f32
    %2 = arith.addf %acc, %1 : f32
    %e = arith.truncf %2 : f32 to f16
    kt.yield %e : f16
  }
  kt.yield %r : !kt.tensor<[p0, 7, 7, 20] x f16>
}

kt.kernel @conv_dilated_f16 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0, 12, 12, 8] x f16>, %w: !kt.tensor<[1, 3, 9, 8, 16] x f16>, %b: !kt.tensor<[40] x f16>):
  %r = kt.conv %x, %w extras(%b : !kt.tensor<[40] x f16>)
      {kernel = array<i64: 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 2, 2>, input_dilations = array<i64: 1, 1>,
       pads = [#kt.expr<2>, #kt.expr<2>], groups = 1 : i64}
      : !kt.tensor<[p0, 12, 12, 8] x f16>, !kt.tensor<[1, 3, 9, 8, 16] x f16> -> !kt.tensor<[p0, 12, 12, 40] x f16> epilogue {
  ^bb0(%acc: f32, %B: !kt.tensor<[40] x f16>, %i0: index, %i1: index, %i2: index, %i3: index):
    %0 = kt.read %B[%i3] : !kt.tensor<[40] x f16> -> f16
    %1 = arith.extf %0 : f16 to f32
    %2 = arith.addf %acc, %1 : f32
    %e = arith.truncf %2 : f32 to f16
    kt.yield %e : f16
  }
  kt.yield %r : !kt.tensor<[p0, 12, 12, 40] x f16>
}

kt.kernel @conv_transposed_f16 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0, 5, 4, 16] x f16>, %w: !kt.tensor<[1, 1, 9, 16, 16] x f16>, %b: !kt.tensor<[8] x f16>):
  %r = kt.conv %x, %w extras(%b : !kt.tensor<[8] x f16>)
      {kernel = array<i64: 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, input_dilations = array<i64: 2, 2>,
       pads = [#kt.expr<1>, #kt.expr<1>], groups = 1 : i64}
      : !kt.tensor<[p0, 5, 4, 16] x f16>, !kt.tensor<[1, 1, 9, 16, 16] x f16> -> !kt.tensor<[p0, 9, 7, 8] x f16> epilogue {
  ^bb0(%acc: f32, %B: !kt.tensor<[8] x f16>, %i0: index, %i1: index, %i2: index, %i3: index):
    %0 = kt.read %B[%i3] : !kt.tensor<[8] x f16> -> f16
    %1 = arith.extf %0 : f16 to f32
    %2 = arith.addf %acc, %1 : f32
    %e = arith.truncf %2 : f32 to f16
    kt.yield %e : f16
  }
  kt.yield %r : !kt.tensor<[p0, 9, 7, 8] x f16>
}

kt.kernel @conv_groups_f16 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0, 6, 6, 32] x f16>, %w: !kt.tensor<[4, 1, 9, 8, 16] x f16>, %b: !kt.tensor<[64] x f16>):
  %r = kt.conv %x, %w extras(%b : !kt.tensor<[64] x f16>)
      {kernel = array<i64: 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, input_dilations = array<i64: 1, 1>,
       pads = [#kt.expr<1>, #kt.expr<1>], groups = 4 : i64}
      : !kt.tensor<[p0, 6, 6, 32] x f16>, !kt.tensor<[4, 1, 9, 8, 16] x f16> -> !kt.tensor<[p0, 6, 6, 64] x f16> epilogue {
  ^bb0(%acc: f32, %B: !kt.tensor<[64] x f16>, %i0: index, %i1: index, %i2: index, %i3: index):
    %0 = kt.read %B[%i3] : !kt.tensor<[64] x f16> -> f16
    %1 = arith.extf %0 : f16 to f32
    %2 = arith.addf %acc, %1 : f32
    %e = arith.truncf %2 : f32 to f16
    kt.yield %e : f16
  }
  kt.yield %r : !kt.tensor<[p0, 6, 6, 64] x f16>
}

kt.kernel @conv_deep_f16 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0, 5, 5, 128] x f16>, %w: !kt.tensor<[1, 4, 9, 128, 16] x f16>, %b: !kt.tensor<[64] x f16>):
  %r = kt.conv %x, %w extras(%b : !kt.tensor<[64] x f16>)
      {kernel = array<i64: 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, input_dilations = array<i64: 1, 1>,
       pads = [#kt.expr<1>, #kt.expr<1>], groups = 1 : i64}
      : !kt.tensor<[p0, 5, 5, 128] x f16>, !kt.tensor<[1, 4, 9, 128, 16] x f16> -> !kt.tensor<[p0, 5, 5, 64] x f16> epilogue {
  ^bb0(%acc: f32, %B: !kt.tensor<[64] x f16>, %i0: index, %i1: index, %i2: index, %i3: index):
    %0 = kt.read %B[%i3] : !kt.tensor<[64] x f16> -> f16
    %1 = arith.extf %0 : f16 to f32
    %2 = arith.addf %acc, %1 : f32
    %e = arith.truncf %2 : f32 to f16
    kt.yield %e : f16
  }
  kt.yield %r : !kt.tensor<[p0, 5, 5, 64] x f16>
}

kt.kernel @conv_int8_f16 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0, 6, 6, 16] x f16>, %w: !kt.tensor<[1, 1, 9, 16, 16] x i8>, %b: !kt.tensor<[16] x f16>):
  %r = kt.conv %x, %w extras(%b : !kt.tensor<[16] x f16>)
      {kernel = array<i64: 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, input_dilations = array<i64: 1, 1>,
       pads = [#kt.expr<1>, #kt.expr<1>], groups = 1 : i64}
      : !kt.tensor<[p0, 6, 6, 16] x f16>, !kt.tensor<[1, 1, 9, 16, 16] x i8> -> !kt.tensor<[p0, 6, 6, 16] x f16> epilogue {
  ^bb0(%acc: f32, %B: !kt.tensor<[16] x f16>, %i0: index, %i1: index, %i2: index, %i3: index):
    %0 = kt.read %B[%i3] : !kt.tensor<[16] x f16> -> f16
    %1 = arith.extf %0 : f16 to f32
    %2 = arith.addf %acc, %1 : f32
    %e = arith.truncf %2 : f32 to f16
    kt.yield %e : f16
  }
  kt.yield %r : !kt.tensor<[p0, 6, 6, 16] x f16>
}

kt.kernel @conv1x1_f16 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0, 5, 5, 24] x f16>, %w: !kt.tensor<[1, 2, 1, 24, 16] x f16>, %b: !kt.tensor<[32] x f16>):
  %r = kt.conv %x, %w extras(%b : !kt.tensor<[32] x f16>)
      {kernel = array<i64: 1, 1>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, input_dilations = array<i64: 1, 1>,
       pads = [#kt.expr<0>, #kt.expr<0>], groups = 1 : i64}
      : !kt.tensor<[p0, 5, 5, 24] x f16>, !kt.tensor<[1, 2, 1, 24, 16] x f16> -> !kt.tensor<[p0, 5, 5, 32] x f16> epilogue {
  ^bb0(%acc: f32, %B: !kt.tensor<[32] x f16>, %i0: index, %i1: index, %i2: index, %i3: index):
    %0 = kt.read %B[%i3] : !kt.tensor<[32] x f16> -> f16
    %1 = arith.extf %0 : f16 to f32
    %2 = arith.addf %acc, %1 : f32
    %e = arith.truncf %2 : f32 to f16
    kt.yield %e : f16
  }
  kt.yield %r : !kt.tensor<[p0, 5, 5, 32] x f16>
}

kt.kernel @conv1x1_few_f16 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0, 4, 4, 24] x f16>, %w: !kt.tensor<[1, 2, 1, 24, 16] x f16>, %b: !kt.tensor<[32] x f16>):
  %r = kt.conv %x, %w extras(%b : !kt.tensor<[32] x f16>)
      {kernel = array<i64: 1, 1>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, input_dilations = array<i64: 1, 1>,
       pads = [#kt.expr<0>, #kt.expr<0>], groups = 1 : i64}
      : !kt.tensor<[p0, 4, 4, 24] x f16>, !kt.tensor<[1, 2, 1, 24, 16] x f16> -> !kt.tensor<[p0, 4, 4, 32] x f16> epilogue {
  ^bb0(%acc: f32, %B: !kt.tensor<[32] x f16>, %i0: index, %i1: index, %i2: index, %i3: index):
    %0 = kt.read %B[%i3] : !kt.tensor<[32] x f16> -> f16
    %1 = arith.extf %0 : f16 to f32
    %2 = arith.addf %acc, %1 : f32
    %e = arith.truncf %2 : f32 to f16
    kt.yield %e : f16
  }
  kt.yield %r : !kt.tensor<[p0, 4, 4, 32] x f16>
}

kt.kernel @conv1x1_stride_f16 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0, 6, 6, 24] x f16>, %w: !kt.tensor<[1, 2, 1, 24, 16] x f16>, %b: !kt.tensor<[32] x f16>):
  %r = kt.conv %x, %w extras(%b : !kt.tensor<[32] x f16>)
      {kernel = array<i64: 1, 1>, strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, input_dilations = array<i64: 1, 1>,
       pads = [#kt.expr<0>, #kt.expr<0>], groups = 1 : i64}
      : !kt.tensor<[p0, 6, 6, 24] x f16>, !kt.tensor<[1, 2, 1, 24, 16] x f16> -> !kt.tensor<[p0, 3, 3, 32] x f16> epilogue {
  ^bb0(%acc: f32, %B: !kt.tensor<[32] x f16>, %i0: index, %i1: index, %i2: index, %i3: index):
    %0 = kt.read %B[%i3] : !kt.tensor<[32] x f16> -> f16
    %1 = arith.extf %0 : f16 to f32
    %2 = arith.addf %acc, %1 : f32
    %e = arith.truncf %2 : f32 to f16
    kt.yield %e : f16
  }
  kt.yield %r : !kt.tensor<[p0, 3, 3, 32] x f16>
}

kt.kernel @conv1d_f32 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0, 17, 6] x f32>, %w: !kt.tensor<[1, 1, 4, 6, 16] x f32>, %b: !kt.tensor<[10] x f32>):
  %r = kt.conv %x, %w extras(%b : !kt.tensor<[10] x f32>)
      {kernel = array<i64: 4>, strides = array<i64: 2>, dilations = array<i64: 1>, input_dilations = array<i64: 1>,
       pads = [#kt.expr<1>], groups = 1 : i64}
      : !kt.tensor<[p0, 17, 6] x f32>, !kt.tensor<[1, 1, 4, 6, 16] x f32> -> !kt.tensor<[p0, 8, 10] x f32> epilogue {
  ^bb0(%acc: f32, %B: !kt.tensor<[10] x f32>, %i0: index, %i1: index, %i2: index):
    %0 = kt.read %B[%i2] : !kt.tensor<[10] x f32> -> f32
    %e = arith.addf %acc, %0 : f32
    kt.yield %e : f32
  }
  kt.yield %r : !kt.tensor<[p0, 8, 10] x f32>
}

kt.kernel @conv3x3_f32 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0, 7, 7, 12] x f32>, %w: !kt.tensor<[1, 2, 9, 12, 16] x f32>, %b: !kt.tensor<[20] x f32>):
  %r = kt.conv %x, %w extras(%b : !kt.tensor<[20] x f32>)
      {kernel = array<i64: 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, input_dilations = array<i64: 1, 1>,
       pads = [#kt.expr<1>, #kt.expr<1>], groups = 1 : i64}
      : !kt.tensor<[p0, 7, 7, 12] x f32>, !kt.tensor<[1, 2, 9, 12, 16] x f32> -> !kt.tensor<[p0, 7, 7, 20] x f32> epilogue {
  ^bb0(%acc: f32, %B: !kt.tensor<[20] x f32>, %i0: index, %i1: index, %i2: index, %i3: index):
    %0 = kt.read %B[%i3] : !kt.tensor<[20] x f32> -> f32
    %e = arith.addf %acc, %0 : f32
    kt.yield %e : f32
  }
  kt.yield %r : !kt.tensor<[p0, 7, 7, 20] x f32>
}

kt.kernel @conv3d_f32 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0, 4, 5, 3, 4] x f32>, %w: !kt.tensor<[1, 1, 12, 4, 16] x f32>, %b: !kt.tensor<[6] x f32>):
  %r = kt.conv %x, %w extras(%b : !kt.tensor<[6] x f32>)
      {kernel = array<i64: 2, 3, 2>, strides = array<i64: 1, 1, 1>, dilations = array<i64: 1, 1, 1>, input_dilations = array<i64: 1, 1, 1>,
       pads = [#kt.expr<1>, #kt.expr<1>, #kt.expr<1>], groups = 1 : i64}
      : !kt.tensor<[p0, 4, 5, 3, 4] x f32>, !kt.tensor<[1, 1, 12, 4, 16] x f32> -> !kt.tensor<[p0, 5, 5, 4, 6] x f32> epilogue {
  ^bb0(%acc: f32, %B: !kt.tensor<[6] x f32>, %i0: index, %i1: index, %i2: index, %i3: index, %i4: index):
    %0 = kt.read %B[%i4] : !kt.tensor<[6] x f32> -> f32
    %e = arith.addf %acc, %0 : f32
    kt.yield %e : f32
  }
  kt.yield %r : !kt.tensor<[p0, 5, 5, 4, 6] x f32>
}

kt.kernel @conv_groups_f32 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0, 6, 6, 6] x f32>, %w: !kt.tensor<[3, 1, 9, 2, 16] x f32>, %b: !kt.tensor<[9] x f32>):
  %r = kt.conv %x, %w extras(%b : !kt.tensor<[9] x f32>)
      {kernel = array<i64: 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, input_dilations = array<i64: 1, 1>,
       pads = [#kt.expr<1>, #kt.expr<1>], groups = 3 : i64}
      : !kt.tensor<[p0, 6, 6, 6] x f32>, !kt.tensor<[3, 1, 9, 2, 16] x f32> -> !kt.tensor<[p0, 6, 6, 9] x f32> epilogue {
  ^bb0(%acc: f32, %B: !kt.tensor<[9] x f32>, %i0: index, %i1: index, %i2: index, %i3: index):
    %0 = kt.read %B[%i3] : !kt.tensor<[9] x f32> -> f32
    %e = arith.addf %acc, %0 : f32
    kt.yield %e : f32
  }
  kt.yield %r : !kt.tensor<[p0, 6, 6, 9] x f32>
}

kt.kernel @conv_transposed_f32 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0, 4, 4, 5] x f32>, %w: !kt.tensor<[1, 1, 9, 5, 16] x f32>, %b: !kt.tensor<[7] x f32>):
  %r = kt.conv %x, %w extras(%b : !kt.tensor<[7] x f32>)
      {kernel = array<i64: 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, input_dilations = array<i64: 2, 2>,
       pads = [#kt.expr<1>, #kt.expr<1>], groups = 1 : i64}
      : !kt.tensor<[p0, 4, 4, 5] x f32>, !kt.tensor<[1, 1, 9, 5, 16] x f32> -> !kt.tensor<[p0, 7, 7, 7] x f32> epilogue {
  ^bb0(%acc: f32, %B: !kt.tensor<[7] x f32>, %i0: index, %i1: index, %i2: index, %i3: index):
    %0 = kt.read %B[%i3] : !kt.tensor<[7] x f32> -> f32
    %e = arith.addf %acc, %0 : f32
    kt.yield %e : f32
  }
  kt.yield %r : !kt.tensor<[p0, 7, 7, 7] x f32>
}

kt.kernel @depthwise_f16 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0, 7, 7, 24] x f16>, %w: !kt.tensor<[1, 2, 9, 1, 16] x f16>, %b: !kt.tensor<[24] x f16>):
  %r = kt.conv %x, %w extras(%b : !kt.tensor<[24] x f16>)
      {kernel = array<i64: 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, input_dilations = array<i64: 1, 1>,
       pads = [#kt.expr<1>, #kt.expr<1>], groups = 24 : i64}
      : !kt.tensor<[p0, 7, 7, 24] x f16>, !kt.tensor<[1, 2, 9, 1, 16] x f16> -> !kt.tensor<[p0, 7, 7, 24] x f16> epilogue {
  ^bb0(%acc: f32, %B: !kt.tensor<[24] x f16>, %i0: index, %i1: index, %i2: index, %i3: index):
    %0 = kt.read %B[%i3] : !kt.tensor<[24] x f16> -> f16
    %1 = arith.extf %0 : f16 to f32
    %2 = arith.addf %acc, %1 : f32
    %e = arith.truncf %2 : f32 to f16
    kt.yield %e : f16
  }
  kt.yield %r : !kt.tensor<[p0, 7, 7, 24] x f16>
}

kt.kernel @depthwise_f32 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0, 7, 7, 6] x f32>, %w: !kt.tensor<[1, 1, 9, 1, 16] x f32>, %b: !kt.tensor<[6] x f32>):
  %r = kt.conv %x, %w extras(%b : !kt.tensor<[6] x f32>)
      {kernel = array<i64: 3, 3>, strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, input_dilations = array<i64: 1, 1>,
       pads = [#kt.expr<1>, #kt.expr<1>], groups = 6 : i64}
      : !kt.tensor<[p0, 7, 7, 6] x f32>, !kt.tensor<[1, 1, 9, 1, 16] x f32> -> !kt.tensor<[p0, 4, 4, 6] x f32> epilogue {
  ^bb0(%acc: f32, %B: !kt.tensor<[6] x f32>, %i0: index, %i1: index, %i2: index, %i3: index):
    %0 = kt.read %B[%i3] : !kt.tensor<[6] x f32> -> f32
    %e = arith.addf %acc, %0 : f32
    kt.yield %e : f32
  }
  kt.yield %r : !kt.tensor<[p0, 4, 4, 6] x f32>
}
