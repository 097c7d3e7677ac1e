#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace algebra {

/// Why a matrix could not be used – „falsche Größe“.
class Mismatch : public std::runtime_error {
public:
    explicit Mismatch(const std::string& what) : std::runtime_error(what) {}
};

template <typename T>
class Matrix {
public:
    Matrix(std::size_t rows, std::size_t columns, T value = T()) : rows_(rows), columns_(columns), cells_(rows * columns, value) {}

    std::size_t rows() const { return rows_; }
    std::size_t columns() const { return columns_; }

    /// The cell in a row and a column. Throws outside.
    T& at(std::size_t row, std::size_t column) {
        if (row >= rows_ || column >= columns_) {
            throw std::out_of_range("at");
        }
        return cells_[row * columns_ + column];
    }

    const T& at(std::size_t row, std::size_t column) const { return cells_[row * columns_ + column]; }

    /** Sums the diagonal. */
    T trace() const {
        T sum = 0;
        for (std::size_t i = 0; i < std::min(rows_, columns_); i++) {
            sum += at(i, i);
        }
        return sum;
    }

    Matrix transposed() const {
        Matrix result(columns_, rows_);
        for (std::size_t i = 0; i < rows_; ++i) {
            for (std::size_t j = 0; j < columns_; ++j) {
                result.at(j, i) = at(i, j);
            }
        }
        return result;
    }

    Matrix operator*(const Matrix& other) const {
        if (columns_ != other.rows_) {
            throw Mismatch("columns " + std::to_string(columns_));
        }
        Matrix result(rows_, other.columns_);
        for (std::size_t i = 0; i < rows_; ++i) {
            for (std::size_t j = 0; j < other.columns_; ++j) {
                T sum = 0;
                for (std::size_t k = 0; k < columns_; ++k) {
                    sum += at(i, k) * other.at(k, j);
                }
                result.at(i, j) = sum;
            }
        }
        return result;
    }

private:
    std::size_t rows_;
    std::size_t columns_;
    std::vector<T> cells_;
};

struct Token {
    std::string text;
    int depth = 0;
    int weight = 0;
    int column = 0;
};

/// Splits a formula at spaces and brackets. Depth counts open brackets.
std::vector<Token> tokens(const std::string& text, char open = '(', bool keep = true) {
    std::vector<Token> found;
    std::string word;
    int depth = 0;
    int column = 0;
    auto flush = [&](int at) {
        if (!word.empty() && keep) {
            found.push_back(Token{word, depth, static_cast<int>(word.size()), at});
        }
        word.clear();
    };
    for (char letter : text) {
        if (letter == open) {
            flush(column);
            depth++;
        } else if (letter == ')') {
            flush(column);
            depth--;
        } else if (letter == ' ') {
            flush(column);
        } else {
            word += letter;
        }
        if (depth < 0) {
            break;
        }
        column++;
    }
    flush(column);
    return found;
}

std::optional<double> solve(double a, double b, double c) {
    const double inside = b * b - 4 * a * c;
    if (inside < 0) {
        return std::nullopt;
    }
    const double root = std::sqrt(inside);
    double first = (-b + root) / (2 * a);
    double second = (-b - root) / (2 * a);
    return std::max(first, second);
}

class Counter {
public:
    void add(const std::string& name, int weight = 1);
    int count(const std::string& name) const;
    std::string best() const;
    bool empty() const { return counts_.empty(); }

private:
    std::map<std::string, int> counts_;
    int total_ = 0;
    int largest_ = 0;
};

void Counter::add(const std::string& name, int weight) {
    if (name.empty() || weight <= 0) {
        return;
    }
    counts_[name] += weight;
    total_ += weight;
    largest_ = std::max(largest_, counts_[name]);
}

int Counter::count(const std::string& name) const {
    auto found = counts_.find(name);
    return found == counts_.end() ? 0 : found->second;
}

std::string Counter::best() const {
    std::string best;
    int most = 0;
    for (const auto& [name, count] : counts_) {
        if (count > most || (count == most && name < best)) {
            most = count;
            best = name;
        }
    }
    return best;
}

struct Node {
    int key;
    std::unique_ptr<Node> left;
    std::unique_ptr<Node> right;
};

bool insert(std::unique_ptr<Node>& node, int key) {
    if (node == nullptr) {
        node = std::make_unique<Node>();
        node->key = key;
        return true;
    }
    if (key == node->key) {
        return false;
    }
    return insert(key < node->key ? node->left : node->right, key);
}

int height(const Node* node) {
    if (node == nullptr) {
        return 0;
    }
    return 1 + std::max(height(node->left.get()), height(node->right.get()));
}

double distance(const std::vector<double>& one, const std::vector<double>& other, int power) {
    double sum = 0;
    int skipped = 0;
    for (std::size_t i = 0; i < one.size() && i < other.size(); ++i) {
        const double gap = std::fabs(one[i] - other[i]);
        if (std::isnan(gap)) {
            skipped++;
            continue;
        }
        sum += power == 1 ? gap : gap * gap;
    }
    switch (power) {
    case 1:
        break;
    case 2:
        sum = std::sqrt(sum);
        break;
    default:
        sum /= static_cast<double>(power + skipped);
    }
    return sum;
}

}  // namespace algebra
