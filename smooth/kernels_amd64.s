//go:build !purego

#include "textflag.h"

// The loops of kernels.go, four or eight values at a time, with the same operations in
// the same order. Those that only write what they do not read end with a step that
// overlaps the one before; n is at least one step. The others do whole steps.

// NEXT goes to the next four of n values, or once to the last four of them.
#define NEXT(loop, done) \
	ADDQ $4, CX          \
	CMPQ CX, DX          \
	JLE  loop            \
	SUBQ $4, CX          \
	CMPQ CX, DX          \
	JEQ  done            \
	MOVQ DX, CX          \
	JMP  loop

// func threeWidthsAVX2(w1, w2, w3, u, a1, b1, a2, b2, a3, b3 *float64, n int)
TEXT ·threeWidthsAVX2(SB), NOSPLIT, $0-88
	MOVQ w1+0(FP), AX
	MOVQ w2+8(FP), BX
	MOVQ w3+16(FP), SI
	MOVQ u+24(FP), DI
	MOVQ a1+32(FP), R8
	MOVQ b1+40(FP), R9
	MOVQ a2+48(FP), R10
	MOVQ b2+56(FP), R11
	MOVQ a3+64(FP), R12
	MOVQ b3+72(FP), R13
	MOVQ n+80(FP), DX
	SUBQ $4, DX
	XORQ CX, CX

loop:
	VMOVUPD (R8)(CX*8), Y0
	VADDPD  (R9)(CX*8), Y0, Y0
	VADDPD  (DI)(CX*8), Y0, Y0
	VMOVUPD Y0, (AX)(CX*8)
	VMOVUPD (R10)(CX*8), Y1
	VADDPD  (R11)(CX*8), Y1, Y1
	VADDPD  Y1, Y0, Y0
	VMOVUPD Y0, (BX)(CX*8)
	VMOVUPD (R12)(CX*8), Y1
	VADDPD  (R13)(CX*8), Y1, Y1
	VADDPD  Y1, Y0, Y0
	VMOVUPD Y0, (SI)(CX*8)
	NEXT(loop, done)

done:
	VZEROUPPER
	RET

// func innerDiscsAVX2(d3, d7, w3, w3a1, w3b1, w2, w2a1, w2b1, w1a2, w1b2 *float64, n int)
TEXT ·innerDiscsAVX2(SB), NOSPLIT, $0-88
	MOVQ d3+0(FP), AX
	MOVQ d7+8(FP), BX
	MOVQ w3+16(FP), SI
	MOVQ w3a1+24(FP), DI
	MOVQ w3b1+32(FP), R8
	MOVQ w2+40(FP), R9
	MOVQ w2a1+48(FP), R10
	MOVQ w2b1+56(FP), R11
	MOVQ w1a2+64(FP), R12
	MOVQ w1b2+72(FP), R13
	MOVQ n+80(FP), DX
	SUBQ $4, DX
	XORQ CX, CX

loop:
	VMOVUPD (DI)(CX*8), Y0
	VADDPD  (R8)(CX*8), Y0, Y0
	VADDPD  (SI)(CX*8), Y0, Y0
	VMOVUPD Y0, (AX)(CX*8)
	VMOVUPD (R10)(CX*8), Y1
	VADDPD  (R11)(CX*8), Y1, Y1
	VADDPD  (R9)(CX*8), Y1, Y1
	VMOVUPD (R12)(CX*8), Y2
	VADDPD  (R13)(CX*8), Y2, Y2
	VADDPD  Y2, Y1, Y1
	VMOVUPD Y1, (BX)(CX*8)
	NEXT(loop, done)

done:
	VZEROUPPER
	RET

// func outerDiscsAVX2(d12, d15, d3, w3a2, w3b2, w2a2, w2b2, w2a3, w2b3, w1a3, w1b3 *float64, n int)
TEXT ·outerDiscsAVX2(SB), NOSPLIT, $0-96
	MOVQ d12+0(FP), AX
	MOVQ d3+16(FP), SI
	MOVQ w3a2+24(FP), DI
	MOVQ w3b2+32(FP), R8
	MOVQ w2a2+40(FP), R9
	MOVQ w2b2+48(FP), R10
	MOVQ w2a3+56(FP), R11
	MOVQ w2b3+64(FP), R12
	MOVQ w1a3+72(FP), R13
	MOVQ n+88(FP), DX
	SUBQ $4, DX
	XORQ CX, CX

loop:
	MOVQ    w1b3+80(FP), BX
	VMOVUPD (SI)(CX*8), Y0
	VMOVUPD (R9)(CX*8), Y1
	VADDPD  (R10)(CX*8), Y1, Y1
	VADDPD  Y1, Y0, Y1
	VMOVUPD (R13)(CX*8), Y2
	VADDPD  (BX)(CX*8), Y2, Y2
	VADDPD  Y2, Y1, Y1
	VMOVUPD Y1, (AX)(CX*8)
	MOVQ    d15+8(FP), BX
	VMOVUPD (DI)(CX*8), Y1
	VADDPD  (R8)(CX*8), Y1, Y1
	VADDPD  Y1, Y0, Y1
	VMOVUPD (R11)(CX*8), Y2
	VADDPD  (R12)(CX*8), Y2, Y2
	VADDPD  Y2, Y1, Y1
	VMOVUPD Y1, (BX)(CX*8)
	NEXT(loop, done)

done:
	VZEROUPPER
	RET

// func ballsAVX2(out, d15, d12, d7, u, uya, uyb, uza, uzb *float64, n int)
TEXT ·ballsAVX2(SB), NOSPLIT, $0-80
	MOVQ out+0(FP), AX
	MOVQ d15+8(FP), BX
	MOVQ d12+16(FP), SI
	MOVQ d7+24(FP), DI
	MOVQ u+32(FP), R8
	MOVQ uya+40(FP), R9
	MOVQ uyb+48(FP), R10
	MOVQ uza+56(FP), R11
	MOVQ uzb+64(FP), R12
	MOVQ n+72(FP), DX
	SUBQ $4, DX
	XORQ CX, CX

loop:
	VMOVUPD (R9)(CX*8), Y0
	VADDPD  (R10)(CX*8), Y0, Y0
	VADDPD  32(BX)(CX*8), Y0, Y0
	VMOVUPD (R11)(CX*8), Y1
	VADDPD  (R12)(CX*8), Y1, Y1
	VADDPD  Y1, Y0, Y0
	VMOVUPD 24(BX)(CX*8), Y1
	VADDPD  40(BX)(CX*8), Y1, Y1
	VADDPD  Y1, Y0, Y0
	VMOVUPD 16(SI)(CX*8), Y1
	VADDPD  48(SI)(CX*8), Y1, Y1
	VADDPD  Y1, Y0, Y0
	VMOVUPD 8(DI)(CX*8), Y1
	VADDPD  56(DI)(CX*8), Y1, Y1
	VADDPD  Y1, Y0, Y0
	VMOVUPD (R8)(CX*8), Y1
	VADDPD  64(R8)(CX*8), Y1, Y1
	VADDPD  Y1, Y0, Y0
	VMOVUPD Y0, (AX)(CX*8)
	NEXT(loop, done)

done:
	VZEROUPPER
	RET

// func differencesAVX2(d, d2 *float64, next, u *float32, joined *uint8, n int)
TEXT ·differencesAVX2(SB), NOSPLIT, $0-48
	MOVQ d+0(FP), AX
	MOVQ d2+8(FP), BX
	MOVQ next+16(FP), SI
	MOVQ u+24(FP), DI
	MOVQ joined+32(FP), R8
	MOVQ n+40(FP), DX
	SUBQ $4, DX
	XORQ CX, CX

loop:
	VCVTPS2PD (SI)(CX*4), Y0
	VCVTPS2PD (DI)(CX*4), Y1
	VPMOVZXBD (R8)(CX*1), X2
	VCVTDQ2PD X2, Y2
	VSUBPD    Y1, Y0, Y0
	VMULPD    Y2, Y0, Y0
	VMOVUPD   Y0, (AX)(CX*8)
	VMULPD    Y0, Y0, Y0
	VMOVUPD   Y0, (BX)(CX*8)
	NEXT(loop, done)

done:
	VZEROUPPER
	RET

// func addWidthsAVX2(sums *float64, missing *int64, s1, s2, value *float64, pairs *uint16, constants *[18][4]float64, n int)
TEXT ·addWidthsAVX2(SB), NOSPLIT, $0-64
	MOVQ sums+0(FP), AX
	MOVQ missing+8(FP), BX
	MOVQ s1+16(FP), SI
	MOVQ s2+24(FP), DI
	MOVQ value+32(FP), R8
	MOVQ pairs+40(FP), R9
	MOVQ constants+48(FP), R10
	MOVQ n+56(FP), DX
	XORQ CX, CX

	VXORPD  Y15, Y15, Y15
	VMOVUPD 352(R10), Y14 // 1
	VMOVUPD 384(R10), Y13 // the bits of 2/3
	VMOVUPD 416(R10), Y12 // the mantissa's bits
	VMOVUPD 448(R10), Y11 // ln 2
	VMOVUPD 512(R10), Y10 // rounding

loop:
	// r
	VPMOVZXWD (R9)(CX*2), X0
	VCVTDQ2PD X0, Y0
	VMOVUPD   (DI)(CX*8), Y1
	VMULPD    Y0, Y1, Y1
	VMOVUPD   (SI)(CX*8), Y2
	VMULPD    Y2, Y2, Y2
	VSUBPD    Y2, Y1, Y1
	VSUBPD    Y14, Y0, Y2
	VMULPD    Y2, Y0, Y2
	VMULPD    (R8)(CX*8), Y2, Y2
	VDIVPD    Y2, Y1, Y1
	VSUBPD    Y1, Y14, Y1

	// where there is one
	VCMPPD    $0x1e, Y15, Y1, Y2
	VCMPPD    $0x11, Y14, Y1, Y3
	VANDPD    Y3, Y2, Y2
	VCMPPD    $0x1d, 544(R10), Y0, Y3
	VANDPD    Y3, Y2, Y2
	VBLENDVPD Y2, Y1, Y14, Y1

	// r is 2^k (1+t)
	VPSUBQ    Y13, Y1, Y1
	VPSRAD    $20, Y1, Y3
	VPSHUFD   $0xdd, Y3, Y3
	VPERMQ    $0x08, Y3, Y3
	VCVTDQ2PD X3, Y3
	VPAND     Y12, Y1, Y1
	VPADDQ    Y13, Y1, Y1
	VSUBPD    Y14, Y1, Y1

	// ln(1+t)/t
	VMULPD  Y1, Y1, Y4
	VMULPD  Y4, Y4, Y5
	VMULPD  32(R10), Y1, Y6
	VADDPD  (R10), Y6, Y6
	VMULPD  96(R10), Y1, Y7
	VADDPD  64(R10), Y7, Y7
	VMULPD  Y7, Y4, Y7
	VADDPD  Y7, Y6, Y6
	VMULPD  160(R10), Y1, Y7
	VADDPD  128(R10), Y7, Y7
	VMULPD  224(R10), Y1, Y8
	VADDPD  192(R10), Y8, Y8
	VMULPD  Y8, Y4, Y8
	VADDPD  Y8, Y7, Y7
	VMULPD  288(R10), Y1, Y8
	VADDPD  256(R10), Y8, Y8
	VMULPD  320(R10), Y4, Y9
	VADDPD  Y9, Y8, Y8
	VMULPD  Y8, Y5, Y8
	VADDPD  Y8, Y7, Y7
	VMULPD  Y7, Y5, Y7
	VADDPD  Y7, Y6, Y6
	VMULPD  Y11, Y3, Y3
	VMULPD  Y6, Y1, Y1
	VADDPD  Y1, Y3, Y3
	VSUBPD  Y3, Y15, Y3

	// the width, rounded
	VDIVPD  Y3, Y14, Y3
	VSQRTPD Y3, Y3
	VMINPD  480(R10), Y3, Y3
	VADDPD  Y10, Y3, Y3
	VSUBPD  Y10, Y3, Y3
	VANDPD  Y2, Y3, Y3
	VADDPD  (AX)(CX*8), Y3, Y3
	VMOVUPD Y3, (AX)(CX*8)

	// missing is one more where Y2 is not -1
	VPCMPEQQ Y15, Y2, Y2
	VMOVDQU  (BX)(CX*8), Y3
	VPSUBQ   Y2, Y3, Y3
	VMOVDQU  Y3, (BX)(CX*8)

	ADDQ $4, CX
	CMPQ CX, DX
	JLT  loop
	VZEROUPPER
	RET

// func flowAlongAVX2(x, flow, u *float32, n int)
TEXT ·flowAlongAVX2(SB), NOSPLIT, $0-32
	MOVQ x+0(FP), AX
	MOVQ flow+8(FP), BX
	MOVQ u+16(FP), SI
	MOVQ n+24(FP), DX
	SUBQ $8, DX
	XORQ CX, CX

loop:
	VMOVUPS 4(SI)(CX*4), Y0
	VSUBPS  (SI)(CX*4), Y0, Y0
	VMULPS  (BX)(CX*4), Y0, Y0
	VMOVUPS Y0, (AX)(CX*4)
	ADDQ    $8, CX
	CMPQ    CX, DX
	JLE     loop
	SUBQ    $8, CX
	CMPQ    CX, DX
	JEQ     done
	MOVQ    DX, CX
	JMP     loop

done:
	VZEROUPPER
	RET

// func flowAcrossAVX2(u, uy, uz, flowY, flowZ, x, fy, fz *float32, n int)
TEXT ·flowAcrossAVX2(SB), NOSPLIT, $0-72
	MOVQ u+0(FP), AX
	MOVQ uy+8(FP), BX
	MOVQ uz+16(FP), SI
	MOVQ flowY+24(FP), DI
	MOVQ flowZ+32(FP), R8
	MOVQ x+40(FP), R9
	MOVQ fy+48(FP), R10
	MOVQ fz+56(FP), R11
	MOVQ n+64(FP), DX
	XORQ CX, CX

loop:
	VMOVUPS (AX)(CX*4), Y0
	VMOVUPS (BX)(CX*4), Y1
	VMOVUPS (SI)(CX*4), Y2
	VSUBPS  Y0, Y1, Y1
	VSUBPS  Y0, Y2, Y2
	VMULPS  (DI)(CX*4), Y1, Y1
	VMULPS  (R8)(CX*4), Y2, Y2
	VMOVUPS 4(R9)(CX*4), Y3
	VSUBPS  (R9)(CX*4), Y3, Y3
	VSUBPS  (R10)(CX*4), Y1, Y4
	VADDPS  Y4, Y3, Y3
	VSUBPS  (R11)(CX*4), Y2, Y4
	VADDPS  Y4, Y3, Y3
	VADDPS  Y3, Y0, Y0
	VMOVUPS Y0, (AX)(CX*4)
	VMOVUPS Y1, (R10)(CX*4)
	VMOVUPS Y2, (R11)(CX*4)
	ADDQ    $8, CX
	CMPQ    CX, DX
	JLT     loop
	VZEROUPPER
	RET

// func axpyAVX2(y *float64, a float64, x *float64, n int)
TEXT ·axpyAVX2(SB), NOSPLIT, $0-32
	MOVQ         y+0(FP), AX
	VBROADCASTSD a+8(FP), Y2
	MOVQ         x+16(FP), SI
	MOVQ         n+24(FP), DX
	XORQ         CX, CX

loop:
	VMULPD  (SI)(CX*8), Y2, Y0
	VADDPD  (AX)(CX*8), Y0, Y0
	VMOVUPD Y0, (AX)(CX*8)
	ADDQ    $4, CX
	CMPQ    CX, DX
	JLT     loop
	VZEROUPPER
	RET
