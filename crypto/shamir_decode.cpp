// Gao, "A new algorithm for decoding Reed–Solomon codes" (2003): interpolate through all shares, then stop the
// extended Euclidean algorithm on (∏(x − x_i), interpolant) half way; the quotient is the polynomial shared.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "common/result.h"
#include "crypto/prime_field.h"
#include "crypto/shamir.h"

namespace fovea::crypto {

namespace {

using Polynomial = FieldWords;  // coefficients from x^0 up, no leading zeros; empty is zero

void trim(Polynomial& a) {
  while (!a.empty() && a.back() == 0) a.pop_back();
}

std::uint64_t evaluate(const Polynomial& a, std::uint64_t x) {
  std::uint64_t value = 0;
  for (std::size_t i = a.size(); i-- > 0;) value = field::add(field::multiply(value, x), a[i]);
  return value;
}

// Divides in place: `a` becomes the remainder, the quotient is returned. `b` is not zero.
Polynomial divide(Polynomial& a, const Polynomial& b) {
  if (a.size() < b.size()) return {};
  const std::uint64_t lead_inverse = field::inverse(b.back());
  Polynomial quotient(a.size() - b.size() + 1);
  for (std::size_t i = quotient.size(); i-- > 0;) {
    const std::uint64_t factor = field::multiply(a[i + b.size() - 1], lead_inverse);
    quotient[i] = factor;
    for (std::size_t j = 0; j < b.size(); ++j) a[i + j] = field::subtract(a[i + j], field::multiply(factor, b[j]));
  }
  trim(a);
  return quotient;
}

// a − q·b
Polynomial subtract_product(Polynomial a, const Polynomial& q, const Polynomial& b) {
  if (q.empty() || b.empty()) return a;
  a.resize(std::max(a.size(), q.size() + b.size() - 1));
  for (std::size_t i = 0; i < q.size(); ++i)
    for (std::size_t j = 0; j < b.size(); ++j) a[i + j] = field::subtract(a[i + j], field::multiply(q[i], b[j]));
  trim(a);
  return a;
}

// ∏ (x − x_i)
Polynomial vanishing_polynomial(std::span<const std::uint32_t> points) {
  Polynomial product{1};
  for (const std::uint32_t point : points) {
    product.push_back(0);
    for (std::size_t i = product.size(); i-- > 1;)
      product[i] = field::subtract(product[i - 1], field::multiply(product[i], point));
    product[0] = field::subtract(0, field::multiply(product[0], point));
  }
  return product;
}

// vanishing / (x − point), by synthetic division; the point is a root.
Polynomial without_root(const Polynomial& vanishing, std::uint64_t point) {
  Polynomial quotient(vanishing.size() - 1);
  std::uint64_t carry = 0;
  for (std::size_t i = quotient.size(); i-- > 0;) {
    carry = field::add(vanishing[i + 1], field::multiply(carry, point));
    quotient[i] = carry;
  }
  return quotient;
}

// For each limb the polynomial of least degree through all shares, in Lagrange's form.
std::array<Polynomial, kShareLimbs> interpolate(const Polynomial& vanishing, std::span<const Share> shares) {
  std::array<Polynomial, kShareLimbs> interpolants;
  interpolants.fill(Polynomial(shares.size()));
  for (const Share& share : shares) {
    const Polynomial basis = without_root(vanishing, share.point());
    const std::uint64_t weight = field::inverse(evaluate(basis, share.point()));
    for (std::size_t limb = 0; limb < kShareLimbs; ++limb) {
      const std::uint64_t factor = field::multiply(weight, ShareAccess::value(share, limb));
      Polynomial& sum = interpolants[limb];
      for (std::size_t i = 0; i < sum.size(); ++i) sum[i] = field::add(sum[i], field::multiply(factor, basis[i]));
    }
  }
  for (Polynomial& interpolant : interpolants) trim(interpolant);
  return interpolants;
}

struct Decoding {
  std::span<const std::uint32_t> points;
  std::size_t threshold = 0;
  std::size_t errors_max = 0;
};

Error too_many_wrong(const Decoding& decoding) {
  return corruption("shares: more than " + std::to_string(decoding.errors_max) + " of " +
                    std::to_string(decoding.points.size()) +
                    " are wrong; the secret cannot be told, nor whose shares are bad");
}

Result<Polynomial> correct(const Decoding& decoding, const Polynomial& vanishing, Polynomial interpolant) {
  if (interpolant.size() <= decoding.threshold) return interpolant;  // all shares lie on one polynomial

  Polynomial older = vanishing;
  Polynomial newer = std::move(interpolant);
  Polynomial older_cofactor;
  Polynomial newer_cofactor{1};
  // Until 2 deg r < n + t.
  while (!newer.empty() && 2 * (newer.size() - 1) >= decoding.points.size() + decoding.threshold) {
    const Polynomial quotient = divide(older, newer);
    std::swap(older, newer);
    Polynomial cofactor = subtract_product(std::move(older_cofactor), quotient, newer_cofactor);
    older_cofactor = std::move(newer_cofactor);
    newer_cofactor = std::move(cofactor);
  }
  Polynomial result = divide(newer, newer_cofactor);
  trim(result);
  if (!newer.empty() || result.size() > decoding.threshold) return too_many_wrong(decoding);
  return result;
}

}  // namespace

Result<DecodedSecret> decode_shares(std::span<const Share> shares, std::uint32_t threshold) {
  std::vector<std::uint32_t> points;
  for (const Share& share : shares) points.push_back(share.point());
  FOVEA_TRY(check_points(points));
  if (threshold < 1 || threshold > shares.size())
    return invalid_argument("shares: expected at least the threshold " + std::to_string(threshold) + ", found " +
                            std::to_string(shares.size()));

  const Decoding decoding{.points = points, .threshold = threshold, .errors_max = (shares.size() - threshold) / 2};
  const Polynomial vanishing = vanishing_polynomial(points);
  std::array<Polynomial, kShareLimbs> interpolants = interpolate(vanishing, shares);
  std::array<std::uint64_t, kShareLimbs> limbs{};
  std::vector<bool> bad(shares.size(), false);
  for (std::size_t limb = 0; limb < kShareLimbs; ++limb) {
    FOVEA_TRY_ASSIGN(const Polynomial polynomial, correct(decoding, vanishing, std::move(interpolants[limb])));
    limbs[limb] = evaluate(polynomial, 0);
    for (std::size_t i = 0; i < shares.size(); ++i)
      if (evaluate(polynomial, points[i]) != ShareAccess::value(shares[i], limb)) bad[i] = true;
  }

  DecodedSecret decoded;
  for (std::size_t i = 0; i < shares.size(); ++i)
    if (bad[i]) decoded.bad_points.push_back(points[i]);
  if (decoded.bad_points.size() > decoding.errors_max) return too_many_wrong(decoding);
  std::sort(decoded.bad_points.begin(), decoded.bad_points.end());
  FOVEA_TRY_ASSIGN(decoded.secret, join_limbs(limbs));
  return decoded;
}

}  // namespace fovea::crypto
