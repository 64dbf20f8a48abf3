#!/usr/bin/env python3
"""Runs every GPU kernel family in the PTX interpreter and compares with numpy: run_kernels.py [kt-compile-kernel [NAME]]."""
import sys
import cases_attention
import cases_conv
import cases_faults
import cases_matmul
import cases_order
import cases_settings
import cases_structured
import harness

FAMILIES = [cases_structured.generic_cases, cases_structured.reduce_cases, cases_structured.normalize_cases,
            cases_matmul.matmul_cases, cases_conv.conv_cases, cases_attention.attention_cases,
            cases_order.order_cases, cases_faults.fault_cases, cases_settings.settings_cases]

if __name__ == '__main__':
    sys.exit(harness.main(FAMILIES, sys.argv))
