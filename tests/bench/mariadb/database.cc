#include "mariadb/database.h"

#include <cstdlib>
#include <cstring>

namespace hongyan::bench {

Database::Database(const std::string& socket, const std::string& schema)
    : db_(mysql_init(nullptr)) {
  if (mysql_real_connect(db_, nullptr, "root", nullptr, schema.empty() ? nullptr : schema.c_str(),
                         0, socket.c_str(), 0) == nullptr) {
    const DatabaseError error{mysql_errno(db_), mysql_error(db_)};
    mysql_close(db_);
    throw error;
  }
}

Database::~Database() { mysql_close(db_); }

void Database::Run(const std::string& sql) {
  if (mysql_real_query(db_, sql.data(), sql.size()) != 0) {
    throw DatabaseError{mysql_errno(db_), mysql_error(db_)};
  }
}

int64_t Database::Number(const std::string& sql) {
  Run(sql);
  MYSQL_RES* const result = mysql_store_result(db_);
  if (result == nullptr) throw DatabaseError{mysql_errno(db_), mysql_error(db_)};
  const MYSQL_ROW row = mysql_fetch_row(result);
  const int64_t number = row == nullptr || row[0] == nullptr ? 0 : std::atoll(row[0]);
  mysql_free_result(result);
  return number;
}

Statement::Statement(Database& database, const std::string& sql, size_t columns)
    : statement_(mysql_stmt_init(database.raw())), row_(columns) {
  if (mysql_stmt_prepare(statement_, sql.data(), sql.size()) != 0) Fail();
}

Statement::~Statement() { mysql_stmt_close(statement_); }

void Statement::Fail() {
  throw DatabaseError{mysql_stmt_errno(statement_), mysql_stmt_error(statement_)};
}

bool Statement::Run(std::initializer_list<int64_t> parameters) {
  std::vector<int64_t> values(parameters);
  std::vector<MYSQL_BIND> in(values.size());
  for (size_t i = 0; i < in.size(); ++i) {
    in[i].buffer_type = MYSQL_TYPE_LONGLONG;
    in[i].buffer = &values[i];
  }
  if (!in.empty() && mysql_stmt_bind_param(statement_, in.data()) != 0) Fail();
  if (mysql_stmt_execute(statement_) != 0) Fail();
  if (row_.empty()) return false;
  std::vector<MYSQL_BIND> out(row_.size());
  for (size_t i = 0; i < out.size(); ++i) {
    out[i].buffer_type = MYSQL_TYPE_LONGLONG;
    out[i].buffer = &row_[i];
  }
  if (mysql_stmt_bind_result(statement_, out.data()) != 0) Fail();
  const int fetched = mysql_stmt_fetch(statement_);
  if (fetched == 1) Fail();
  mysql_stmt_free_result(statement_);
  return fetched != MYSQL_NO_DATA;
}

}  // namespace hongyan::bench
