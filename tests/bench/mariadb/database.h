#pragma once

#include <mysql.h>

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

namespace hongyan::bench {

// One connection to MariaDB; errors are exceptions of this kind. One thread.
struct DatabaseError {
  unsigned number;
  std::string text;
  // The transaction was undone because of others, and may be tried again.
  bool is_conflict() const { return number == 1213 || number == 1205; }
};

class Database {
 public:
  explicit Database(const std::string& socket, const std::string& schema = {});
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  void Run(const std::string& sql);
  // The one number that the query answers.
  int64_t Number(const std::string& sql);
  MYSQL* raw() { return db_; }

 private:
  MYSQL* db_;
};

// A prepared statement whose parameters and columns are all BIGINT.
class Statement {
 public:
  Statement(Database& database, const std::string& sql, size_t columns = 0);
  ~Statement();
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  // True: it answered a row, then in row(). Without columns: always false.
  bool Run(std::initializer_list<int64_t> parameters);
  const std::vector<int64_t>& row() const { return row_; }

 private:
  [[noreturn]] void Fail();
  MYSQL_STMT* statement_;
  std::vector<int64_t> row_;
};

}  // namespace hongyan::bench
