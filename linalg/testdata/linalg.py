"""Makes linalg.json: what numpy.linalg answers, for the tests of package linalg.

    pip install numpy==2.4.6
    python linalg.py > linalg.json

Every float is written in hexadecimal. Tolerances, since every LAPACK rounds in its own way:
singular values, eigenvalues, R and L to 1e-13 of the largest (of the matrix's norm for
eigenvalues and of L that are ill conditioned: such matrices are left out); solutions to 1e-13
times the condition number, of the largest. |R| is compared: the signs are free.
"""
import json

import numpy as np

rng = np.random.RandomState(28)


def hexes(a):
    return [float(v).hex() for v in np.ravel(a)]


def array(a):
    return {"rows": a.shape[0], "cols": a.shape[1], "data": hexes(a)}


def hilbert(n):
    i = np.arange(n)
    return 1.0 / (i[:, None] + i + 1)


def graded(m, n, low):
    """Singular values from 1 down to 10**low, evenly on the scale of logarithms."""
    k = min(m, n)
    q, _ = np.linalg.qr(rng.randn(m, k))
    p, _ = np.linalg.qr(rng.randn(n, k))
    return q * np.logspace(0, low, k) @ p.T


matrices = {
    "one": np.array([[-3.0]]),
    "zero": np.zeros((3, 4)),
    "row": rng.randn(1, 7),
    "column": rng.randn(7, 1),
    "identity": np.eye(5),
    "two by two": np.array([[1.0, 2.0], [3.0, 4.0]]),
    "square": rng.randn(12, 12),
    "odd square": rng.randn(17, 17),
    "tall": rng.randn(23, 6),
    "very tall": rng.randn(90, 3),
    "wide": rng.randn(6, 23),
    "very wide": rng.randn(3, 90),
    "rank 2": rng.randn(9, 2) @ rng.randn(2, 11),
    "one repeated row": np.tile(rng.randn(1, 6), (8, 1)),
    "repeated singular values": np.kron(np.eye(3), np.array([[2.0, 1.0], [1.0, 2.0]])),
    "ill conditioned, Hilbert": hilbert(10),
    "graded to 1e-15": graded(12, 9, -15),
    "graded to 1e-300": np.diag(np.logspace(0, -300, 7)),
    "huge": rng.randn(8, 8) * 1e300,
    "tiny": rng.randn(8, 8) * 1e-300,
    "subnormal": rng.randn(5, 4) * 1e-310,
    "huge and tiny": np.array([[1e300, 1.0], [1.0, 1e-300]]),
    "whole numbers": np.arange(20.0).reshape(4, 5),
    "negative zero": np.array([[-0.0, 1.0], [0.0, -1.0]]),
    "symmetric": (lambda a: a + a.T)(rng.randn(13, 13)),
    "upper triangle": np.triu(rng.randn(7, 7)),
    "rotation": np.array([[0.0, -1.0], [1.0, 0.0]]),
    "companion": np.array([[0.0, 0.0, 6.0], [1.0, 0.0, -11.0], [0.0, 1.0, 6.0]]),
    "positive definite": (lambda a: a @ a.T + 9 * np.eye(9))(rng.randn(9, 9)),
    "second difference": 2 * np.eye(11) - np.eye(11, k=1) - np.eye(11, k=-1),
    "lower triangle counts": np.tril(rng.randn(5, 5)) + 6 * np.eye(5) + np.triu(np.full((5, 5), 100.0), 1),
}

# Eigenvalues that rounding moves by more than the tolerance.
defective = {"one repeated row", "upper triangle"}

cases = []
for name, a in matrices.items():
    m, n = a.shape
    case = {"name": name, "a": array(a), "s": hexes(np.linalg.svd(a, compute_uv=False))}
    full, thin = np.linalg.svd(a), np.linalg.svd(a, full_matrices=False)
    case["shapes"] = [list(full[0].shape), list(full[2].shape), list(thin[0].shape), list(thin[2].shape)]
    # R is only unique for columns that are independent.
    k = min(m, n)
    if k and np.linalg.cond(a[:, :k]) < 1e6:
        case["r"] = hexes(np.abs(np.linalg.qr(a, mode="r")))
    if m == n:
        w = np.linalg.eigvals(a)
        if name not in defective and np.linalg.cond(np.linalg.eig(a)[1]) < 1e2:
            case["eigenvalues"] = [hexes(w.real), hexes(w.imag)]
        case["symmetric"] = hexes(np.linalg.eigvalsh(a))
        try:
            l = np.linalg.cholesky(a)
            if np.linalg.cond(l) < 1e3:
                case["cholesky"] = hexes(l)
        except np.linalg.LinAlgError as e:
            # An eigenvalue of 0 is negative or not by rounding.
            if np.linalg.eigvalsh(a)[0] < -1e-10 * np.abs(a).max():
                case["not positive definite"] = str(e)
        b = np.arange(1.0, 2 * n + 1).reshape(n, 2)
        try:
            x = np.linalg.solve(a, b)
            condition = np.linalg.cond(a)
            if condition < 1e12 and np.all(np.isfinite(x)):
                case["solution"], case["condition"] = hexes(x), float(condition)
        except np.linalg.LinAlgError as e:
            case["singular"] = str(e)
    cases.append(case)

empty = []
for m, n in [(0, 0), (0, 5), (5, 0)]:
    a = np.zeros((m, n))
    full, thin = np.linalg.svd(a), np.linalg.svd(a, full_matrices=False)
    q, r = np.linalg.qr(a, mode="complete")
    tq, tr = np.linalg.qr(a)
    empty.append({
        "rows": m, "cols": n,
        "svd": [list(full[0].shape), list(full[1].shape), list(full[2].shape)], "u": hexes(full[0]), "vt": hexes(full[2]),
        "thin": [list(thin[0].shape), list(thin[1].shape), list(thin[2].shape)],
        "qr": [list(q.shape), list(r.shape)], "q": hexes(q), "thin qr": [list(tq.shape), list(tr.shape)],
    })

refused = []


def refuse(name, f, *args):
    try:
        f(*args)
    except np.linalg.LinAlgError as e:
        refused.append({"name": name, "error": str(e)})
    else:
        raise SystemExit("numpy does not refuse: " + name)


refuse("eigen of 2x3", np.linalg.eig, np.zeros((2, 3)))
refuse("eigenvalues of 2x3", np.linalg.eigvals, np.zeros((2, 3)))
refuse("symmetric of 2x3", np.linalg.eigh, np.zeros((2, 3)))
refuse("cholesky of 3x2", np.linalg.cholesky, np.zeros((3, 2)))
refuse("cholesky, negative", np.linalg.cholesky, np.array([[1.0, 0.0], [0.0, -1.0]]))
refuse("cholesky, semidefinite", np.linalg.cholesky, np.zeros((2, 2)))
refuse("solve 3x2", np.linalg.solve, np.zeros((3, 2)), np.zeros((3, 1)))
refuse("solve, singular", np.linalg.solve, np.array([[1.0, 2.0], [2.0, 4.0]]), np.ones((2, 1)))
refuse("solve, zero", np.linalg.solve, np.zeros((2, 2)), np.ones((2, 1)))

print(json.dumps({"numpy": np.__version__, "cases": cases, "empty": empty, "refused": refused}, indent=None, separators=(",", ":")))
