"""Kernels of half-precision operands under other settings of the compiler: without tensor cores, with them where rows are many and aligned,
with one variant for all shapes, and with all that there are but those for few rows. The results are the same; which instructions compute them is not."""
import cases_attention
import cases_blocks
import cases_conv
import cases_matmul
import cases_views

MMA = 'mma.sync'
# What normal leaves to the CUDA cores in every run: operands that are not copied by aligned asynchronous copies.
UNALIGNED = ('ragged_50_99', 'left_transposed_f16', 'conv_stem_f16', 'attention_f16_20_unaligned')
# The position among a case's sizes that counts rows; a number where rows are static.
ROWS = {'linear_bf16_72_64': 0, 'int8_f16': 0, 'int8_bf16': 0, 'scores_f16': 1, 'attention_f16_64': 1, 'attention_bf16_32_mask': 1}
MANY = ('conv3x3_f16', 'conv_groups_f16', 'conv_int8_f16', 'conv1x1_f16', 'attention_f16_256')

# What runs every tile that there is, whether it may win or not.
ALL = ('linear_f16_136_200', 'linear_f16_72_2048', 'int8_f16', 'scores_f16', 'context_f16', 'linear_f32', 'conv3x3_f16', 'conv_stem_f16', 'conv_groups_f16',
       'conv_int8_f16', 'conv1x1_f16', 'attention_f16_64', 'rows_apart_f16', 'both_in_one_f16', 'right_columns_f16', 'conv_channels_f16')

NO_GEMV = '^(?!.* gemv )'  # cases_gemv.py has those

# What has warpgroups multiply: operands in panels and in rows, converted on the way, rows that lie apart, a norm behind, taps of convolutions.
WARPGROUPS = ('linear_f16_136_200', 'linear_bf16_72_64', 'linear_f16_72_2048', 'int8_f16', 'scores_f16', 'rows_apart_f16', 'both_in_one_f16',
              'ragged_41_104', 'conv3x3_f16', 'conv3x3_bf16', 'conv_groups_f16', 'conv_dilated_f16', 'conv_transposed_f16', 'conv_deep_f16', 'conv_int8_f16')


# The same of weights in blocks: a word of a chunk, two words, two chunks; zero points; parts.
BLOCKS = ('blocks_int4_f16_72_320', 'blocks_int4_f16_41_200', 'blocks_int8_f16_40_136', 'blocks_int2_f16_40_200', 'blocks_int8_parts_bf16_40_200', 'blocks_fp8_f16_72_320')


def low(ints, kernel, ptx):
    return 'uses tensor cores' if MMA in ptx else None


def one(ints, kernel, ptx):
    return f"{len(kernel['variants'])} variants" if len(kernel['variants']) != 1 else None


def normal(name):
    """Unaligned operands and few rows get no tensor cores; the others may get them, and some variant has to."""
    def check(ints, kernel, ptx):
        few = name in UNALIGNED or (name in ROWS and ints[ROWS[name]] <= 16)
        if few and MMA in ptx:
            return 'uses tensor cores'
        tensor = [v['schedule'] for v in kernel['variants'] if 'simt' not in v['schedule'] and ('gemv' not in v['schedule'] or 'mma' in v['schedule'])]
        return None if bool(tensor) != (name in UNALIGNED) else f'on tensor cores: {tensor}'
    return check


def settings_cases():
    cases = []
    for c in cases_blocks.block_cases():
        if c.name in BLOCKS:
            hopper = c.compiled_with('warpgroups', ['--variants=all'], None)
            hopper.runs, hopper.target, hopper.only = hopper.runs[1::4], 'sm_90a', 'wgmma'
            cases.append(hopper)
    for c in cases_matmul.matmul_cases() + cases_conv.conv_cases() + cases_attention.attention_cases() + cases_views.view_cases():
        if c.name in ALL:
            every = c.compiled_with('all', ['--variants=all'], None)
            every.runs, every.only = every.runs[:3], NO_GEMV
            cases.append(every)
        if c.name in WARPGROUPS:
            hopper = c.compiled_with('warpgroups', ['--variants=all'], None)
            hopper.runs, hopper.target, hopper.only = hopper.runs[:3], 'sm_90a', 'wgmma'
            cases.append(hopper)
        if c.name not in ROWS and c.name not in UNALIGNED and c.name not in MANY:
            continue
        cases.append(c.compiled_with('low', ['--tensor-core-priority=low'], low))
        cases.append(c.compiled_with('normal', ['--tensor-core-priority=normal'], normal(c.name)))
        cases.append(c.compiled_with('one', ['--variants=one'], one))
    return cases
