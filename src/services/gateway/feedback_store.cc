#include "services/gateway/feedback_store.h"

#include <sqlite3.h>

#include <utility>

#include "base/limits.h"
#include "base/random.h"
#include "base/status.h"
#include "model/json_writer.h"
#include "model/payload.h"
#include "rpc/error_table.h"

namespace vectron::gateway {
namespace {

constexpr int64_t kMillisPerDay = 86'400'000;
constexpr int64_t kQueueRetryMs = 100;    // what waits is written within this, as a rule
constexpr int64_t kFullRetryMs = 10'000;  // a disk is not made room on sooner
constexpr size_t kExpireRows = 1'000;
constexpr size_t kMaxQueuedRecords = 100'000;  // to the reranker; past it the oldest go
constexpr int kSchemaVersion = 2;

constexpr const char* kSchema = R"(
  CREATE TABLE IF NOT EXISTS feedback (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    feedback_id TEXT NOT NULL UNIQUE,
    created_unix_ms INTEGER NOT NULL,
    tenant TEXT NOT NULL,
    collection TEXT NOT NULL,
    query TEXT NOT NULL,
    query_id TEXT NOT NULL,
    result_ids TEXT NOT NULL,
    context TEXT NOT NULL,
    made_unix_ms INTEGER NOT NULL DEFAULT 0);
  CREATE INDEX IF NOT EXISTS feedback_by_collection ON feedback (tenant, collection, number);
  CREATE INDEX IF NOT EXISTS feedback_by_time ON feedback (created_unix_ms);
  CREATE TABLE IF NOT EXISTS feedback_item (
    number INTEGER NOT NULL REFERENCES feedback (number) ON DELETE CASCADE,
    place INTEGER NOT NULL,
    result_id TEXT NOT NULL,
    relevance_score INTEGER NOT NULL,
    clicked INTEGER NOT NULL,
    position INTEGER NOT NULL,
    comment TEXT NOT NULL,
    PRIMARY KEY (number, place)) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS subject (
    tenant TEXT NOT NULL,
    collection TEXT NOT NULL,
    made_unix_ms INTEGER NOT NULL,
    PRIMARY KEY (tenant, collection, made_unix_ms)) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS learn_queue (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    record BLOB NOT NULL);
  CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
)";

// Before kSchema, of version 1, where a collection was its name; and after it.
constexpr const char* kFromVersion1 =
    "ALTER TABLE feedback ADD COLUMN made_unix_ms INTEGER NOT NULL DEFAULT 0;";
constexpr const char* kThenFromVersion1 =
    "INSERT INTO subject SELECT DISTINCT tenant, collection, 0 FROM feedback;";

// Which feedback is a subject's: of its tenant, collection and time of making.
constexpr std::string_view kOfSubject =
    "tenant = ?1 AND collection = ?2 AND"
    " (made_unix_ms = ?3 OR (made_unix_ms = 0 AND created_unix_ms >= ?3))";

// Binds values to a statement from its first parameter on. Texts must outlive the next step.
class Binder {
 public:
  explicit Binder(sqlite3_stmt* statement) : statement_(statement) {}
  Binder& Text(std::string_view text) {
    sqlite3_bind_text(statement_, ++next_, text.data(), static_cast<int>(text.size()),
                      SQLITE_STATIC);
    return *this;
  }
  Binder& Blob(std::string_view bytes) {
    sqlite3_bind_blob(statement_, ++next_, bytes.data(), static_cast<int>(bytes.size()),
                      SQLITE_STATIC);
    return *this;
  }
  Binder& Number(int64_t number) {
    sqlite3_bind_int64(statement_, ++next_, number);
    return *this;
  }

 private:
  sqlite3_stmt* statement_;
  int next_ = 0;
};

std::string TextOf(sqlite3_stmt* row, int column) {
  const void* bytes = sqlite3_column_blob(row, column);
  const int size = sqlite3_column_bytes(row, column);
  return bytes == nullptr ? std::string()
                          : std::string(static_cast<const char*>(bytes), static_cast<size_t>(size));
}

std::string JsonOf(const google::protobuf::RepeatedPtrField<std::string>& texts) {
  std::string json = "[";
  for (const std::string& text : texts) {
    if (json.size() > 1) json.push_back(',');
    AppendJsonString(json, text);
  }
  return json + "]";
}

std::string JsonOf(const google::protobuf::Map<std::string, std::string>& map) {
  const std::map<std::string, std::string> sorted(map.begin(), map.end());
  std::string json = "{";
  for (const auto& [key, value] : sorted) {
    if (json.size() > 1) json.push_back(',');
    AppendJsonString(json, key);
    json.push_back(':');
    AppendJsonString(json, value);
  }
  return json + "}";
}

void ReadTexts(const std::string& json, v1::FeedbackRecord& record) {
  const absl::StatusOr<Value> tree = ParsePayload("{\"ids\":" + json + "}");
  if (!tree.ok()) return;
  for (const Value& id : *tree->Find("ids")->get<Array>()) {
    record.add_result_ids(*id.get<std::string>());
  }
}

void ReadContext(const std::string& json, v1::FeedbackRecord& record) {
  const absl::StatusOr<Value> tree = ParsePayload(json);
  if (!tree.ok()) return;
  for (const auto& [key, value] : *tree->get<Object>()) {
    (*record.mutable_context())[key] = *value.get<std::string>();
  }
}

}  // namespace

std::string ModelKeyOf(const std::string& collection, int64_t made_unix_ms) {
  return fmt::format("{}#{}", collection, made_unix_ms);
}

FeedbackStore::FeedbackStore(const FeedbackStoreOptions& options, const Clock& clock,
                             Executor& executor)
    : options_(options), clock_(clock), db_(nullptr, sqlite3_close_v2), serial_(executor) {}

FeedbackStore::~FeedbackStore() = default;

absl::StatusOr<std::unique_ptr<FeedbackStore>> FeedbackStore::Open(
    const FeedbackStoreOptions& options, const Clock& clock, Executor& executor) {
  std::unique_ptr<FeedbackStore> store(new FeedbackStore(options, clock, executor));
  const absl::Status opened = store->OpenFile();
  if (!opened.ok()) return Annotate(opened, options.path);
  return store;
}

absl::Status FeedbackStore::ErrorOf(int code) const {
  const char* text = db_ != nullptr ? sqlite3_errmsg(db_.get()) : sqlite3_errstr(code);
  switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_DONE:
    case SQLITE_ROW:
      return absl::OkStatus();
    case SQLITE_FULL:
      return rpc::WithRetryAfter(ResourceExhausted("the feedback store is full: {}", text),
                                 kFullRetryMs);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return DataLoss("the feedback store is damaged: {}", text);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return Unavailable("the feedback store is in use: {}", text);
    default:
      return Internal("the feedback store: {}", text);
  }
}

absl::Status FeedbackStore::OpenFile() {
  sqlite3* db = nullptr;
  const int opened =
      sqlite3_open_v2(options_.path.c_str(), &db,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  db_.reset(db);
  RETURN_IF_ERROR(ErrorOf(opened));
  sqlite3_extended_result_codes(db, 1);
  RETURN_IF_ERROR(
      Execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;"
              "PRAGMA foreign_keys = ON; PRAGMA wal_autocheckpoint = 1000;"));
  ASSIGN_OR_RETURN(const Statement version, Prepare("PRAGMA user_version"));
  RETURN_IF_ERROR(ErrorOf(sqlite3_step(version.get())));
  const int found = sqlite3_column_int(version.get(), 0);
  if (found > kSchemaVersion) return FailedPrecondition("tables of a newer version: {}", found);
  if (found < kSchemaVersion) {
    RETURN_IF_ERROR(Execute(fmt::format("BEGIN; {} {} {} PRAGMA user_version = {}; COMMIT;",
                                        found == 1 ? kFromVersion1 : "", kSchema,
                                        found == 1 ? kThenFromVersion1 : "", kSchemaVersion)
                                .c_str()));
  }
  if (options_.max_bytes != 0) {
    ASSIGN_OR_RETURN(const Statement page, Prepare("PRAGMA page_size"));
    RETURN_IF_ERROR(ErrorOf(sqlite3_step(page.get())));
    const auto page_bytes = static_cast<uint64_t>(sqlite3_column_int64(page.get(), 0));
    RETURN_IF_ERROR(Execute(
        fmt::format("PRAGMA max_page_count = {}", options_.max_bytes / page_bytes + 1).c_str()));
  }
  ASSIGN_OR_RETURN(source_, ReadSource());
  return absl::OkStatus();
}

absl::StatusOr<std::string> FeedbackStore::ReadSource() {
  RETURN_IF_ERROR(
      Execute("INSERT OR IGNORE INTO setting VALUES ('source', lower(hex(randomblob(16))))"));
  ASSIGN_OR_RETURN(const Statement row, Prepare("SELECT value FROM setting WHERE name = 'source'"));
  RETURN_IF_ERROR(ErrorOf(sqlite3_step(row.get())));
  return TextOf(row.get(), 0);
}

absl::Status FeedbackStore::Execute(const char* sql) {
  return ErrorOf(sqlite3_exec(db_.get(), sql, nullptr, nullptr, nullptr));
}

absl::StatusOr<FeedbackStore::Statement> FeedbackStore::Prepare(const char* sql) {
  sqlite3_stmt* statement = nullptr;
  const int prepared = sqlite3_prepare_v2(db_.get(), sql, -1, &statement, nullptr);
  Statement owned(statement, sqlite3_finalize);
  RETURN_IF_ERROR(ErrorOf(prepared));
  return owned;
}

void FeedbackStore::Write(FeedbackWrite write, std::function<void(absl::Status)> done) {
  bool first = false;
  bool full = false;
  {
    const absl::MutexLock lock(&mutex_);
    full = waiting_.size() >= kMaxQueuedFeedback;
    first = waiting_.empty();
    if (!full) waiting_.push_back({.write = std::move(write), .done = std::move(done)});
  }
  if (full)
    return done(rpc::WithRetryAfter(
        ResourceExhausted("{} pieces of feedback wait to be written", kMaxQueuedFeedback),
        kQueueRetryMs));
  if (first) serial_.Schedule([this] { WriteWaiting(); });
}

void FeedbackStore::WriteWaiting() {
  std::vector<Waiting> batch;
  {
    const absl::MutexLock lock(&mutex_);
    batch.swap(waiting_);
  }
  absl::Status written = WriteAll(batch);
  if (!written.ok()) {
    sqlite3_exec(db_.get(), "ROLLBACK", nullptr, nullptr, nullptr);  // when one is open
  }
  for (Waiting& waiting : batch) waiting.done(written);
}

absl::Status FeedbackStore::WriteAll(const std::vector<Waiting>& batch) {
  RETURN_IF_ERROR(Execute("BEGIN IMMEDIATE"));
  for (const Waiting& waiting : batch) {
    RETURN_IF_ERROR(Insert(waiting.write));
    if (waiting.write.learn) RETURN_IF_ERROR(Enqueue(waiting.write.learn_record));
  }
  return Execute("COMMIT");
}

absl::Status FeedbackStore::Insert(const FeedbackWrite& write) {
  const v1::SubmitFeedbackRequest& request = write.request;
  const std::string result_ids = JsonOf(request.result_ids());
  const std::string context = JsonOf(request.context());
  ASSIGN_OR_RETURN(const Statement row,
                   Prepare("INSERT INTO feedback (feedback_id, created_unix_ms, tenant, collection,"
                           " query, query_id, result_ids, context, made_unix_ms)"
                           " VALUES (?,?,?,?,?,?,?,?,?)"));
  Binder(row.get())
      .Text(write.feedback_id)
      .Number(clock_.UnixMillis())
      .Text(write.tenant)
      .Text(request.collection())
      .Text(request.query())
      .Text(request.query_id())
      .Text(result_ids)
      .Text(context)
      .Number(write.made_unix_ms);
  RETURN_IF_ERROR(ErrorOf(sqlite3_step(row.get())));
  const int64_t number = sqlite3_last_insert_rowid(db_.get());
  ASSIGN_OR_RETURN(const Statement subject,
                   Prepare("INSERT OR IGNORE INTO subject VALUES (?,?,?)"));
  Binder(subject.get()).Text(write.tenant).Text(request.collection()).Number(write.made_unix_ms);
  RETURN_IF_ERROR(ErrorOf(sqlite3_step(subject.get())));
  return InsertItems(write, number);
}

absl::Status FeedbackStore::InsertItems(const FeedbackWrite& write, int64_t number) {
  ASSIGN_OR_RETURN(const Statement row,
                   Prepare("INSERT INTO feedback_item VALUES (?,?,?,?,?,?,?)"));
  int64_t place = 0;
  for (const v1::FeedbackItem& item : write.request.feedback_items()) {
    Binder(row.get())
        .Number(number)
        .Number(place++)
        .Text(item.result_id())
        .Number(item.relevance_score())
        .Number(item.clicked() ? 1 : 0)
        .Number(item.position())
        .Text(item.comment());
    RETURN_IF_ERROR(ErrorOf(sqlite3_step(row.get())));
    sqlite3_reset(row.get());
  }
  return absl::OkStatus();
}

absl::Status FeedbackStore::Enqueue(const reranker::v1::LearnRecord& record) {
  const std::string bytes = record.SerializeAsString();
  ASSIGN_OR_RETURN(const Statement row, Prepare("INSERT INTO learn_queue (record) VALUES (?)"));
  Binder(row.get()).Blob(bytes);
  RETURN_IF_ERROR(ErrorOf(sqlite3_step(row.get())));
  const int64_t number = sqlite3_last_insert_rowid(db_.get());
  if (number <= static_cast<int64_t>(kMaxQueuedRecords)) return absl::OkStatus();
  return DropQueued(static_cast<uint64_t>(number) - kMaxQueuedRecords);
}

absl::StatusOr<std::vector<reranker::v1::LearnRecord>> FeedbackStore::QueuedAfter(uint64_t number,
                                                                                  size_t most) {
  ASSIGN_OR_RETURN(
      const Statement row,
      Prepare("SELECT number, record FROM learn_queue WHERE number > ? ORDER BY number LIMIT ?"));
  Binder(row.get()).Number(static_cast<int64_t>(number)).Number(static_cast<int64_t>(most));
  std::vector<reranker::v1::LearnRecord> records;
  int code = SQLITE_OK;
  while ((code = sqlite3_step(row.get())) == SQLITE_ROW) {
    reranker::v1::LearnRecord record;
    if (!record.ParseFromString(TextOf(row.get(), 1))) {
      return DataLoss("the feedback store is damaged: a queued record");
    }
    record.set_number(static_cast<uint64_t>(sqlite3_column_int64(row.get(), 0)));
    records.push_back(std::move(record));
  }
  RETURN_IF_ERROR(ErrorOf(code));
  return records;
}

absl::Status FeedbackStore::DropQueued(uint64_t through) {
  ASSIGN_OR_RETURN(const Statement row, Prepare("DELETE FROM learn_queue WHERE number <= ?"));
  Binder(row.get()).Number(static_cast<int64_t>(through));
  return ErrorOf(sqlite3_step(row.get()));
}

absl::StatusOr<bool> FeedbackStore::Expire() {
  if (options_.retention_days == 0) return false;
  ASSIGN_OR_RETURN(const Statement row,
                   Prepare("DELETE FROM feedback WHERE number IN (SELECT number FROM feedback"
                           " WHERE created_unix_ms < ? ORDER BY created_unix_ms LIMIT ?)"));
  Binder(row.get())
      .Number(clock_.UnixMillis() - options_.retention_days * kMillisPerDay)
      .Number(kExpireRows);
  RETURN_IF_ERROR(ErrorOf(sqlite3_step(row.get())));
  return sqlite3_changes(db_.get()) == static_cast<int>(kExpireRows);
}

absl::StatusOr<std::vector<FeedbackSubject>> FeedbackStore::Subjects() {
  ASSIGN_OR_RETURN(const Statement row,
                   Prepare("SELECT tenant, collection, made_unix_ms FROM subject"));
  std::vector<FeedbackSubject> subjects;
  int code = SQLITE_OK;
  while ((code = sqlite3_step(row.get())) == SQLITE_ROW) {
    subjects.push_back({.tenant = TextOf(row.get(), 0),
                        .collection = TextOf(row.get(), 1),
                        .made_unix_ms = sqlite3_column_int64(row.get(), 2)});
  }
  RETURN_IF_ERROR(ErrorOf(code));
  return subjects;
}

absl::StatusOr<bool> FeedbackStore::Forget(const FeedbackSubject& subject) {
  RETURN_IF_ERROR(DropQueuedOf(subject));
  ASSIGN_OR_RETURN(const Statement row,
                   Prepare("DELETE FROM feedback WHERE number IN (SELECT number FROM feedback"
                           " WHERE tenant = ? AND collection = ? AND made_unix_ms = ? LIMIT ?)"));
  Binder(row.get())
      .Text(subject.tenant)
      .Text(subject.collection)
      .Number(subject.made_unix_ms)
      .Number(kExpireRows);
  RETURN_IF_ERROR(ErrorOf(sqlite3_step(row.get())));
  if (sqlite3_changes(db_.get()) == static_cast<int>(kExpireRows)) return true;
  ASSIGN_OR_RETURN(
      const Statement last,
      Prepare("DELETE FROM subject WHERE tenant = ? AND collection = ? AND made_unix_ms = ?"));
  Binder(last.get()).Text(subject.tenant).Text(subject.collection).Number(subject.made_unix_ms);
  RETURN_IF_ERROR(ErrorOf(sqlite3_step(last.get())));
  return false;
}

absl::Status FeedbackStore::DropQueuedOf(const FeedbackSubject& subject) {
  const std::string model = ModelKeyOf(subject.collection, subject.made_unix_ms);
  ASSIGN_OR_RETURN(const Statement row, Prepare("SELECT number, record FROM learn_queue"));
  std::vector<int64_t> numbers;
  int code = SQLITE_OK;
  while ((code = sqlite3_step(row.get())) == SQLITE_ROW) {
    reranker::v1::LearnRecord record;
    if (!record.ParseFromString(TextOf(row.get(), 1))) continue;
    if (record.tenant() == subject.tenant && record.collection() == model)
      numbers.push_back(sqlite3_column_int64(row.get(), 0));
  }
  RETURN_IF_ERROR(ErrorOf(code));
  if (numbers.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const Statement drop, Prepare("DELETE FROM learn_queue WHERE number = ?"));
  for (const int64_t number : numbers) {
    Binder(drop.get()).Number(number);
    RETURN_IF_ERROR(ErrorOf(sqlite3_step(drop.get())));
    sqlite3_reset(drop.get());
  }
  return absl::OkStatus();
}

void FeedbackStore::List(FeedbackSubject subject, uint64_t after, uint32_t limit,
                         std::function<void(absl::StatusOr<v1::ListFeedbackResponse>)> done) {
  serial_.Schedule([this, subject = std::move(subject), after, limit, done = std::move(done)] {
    done(ReadPage(subject, after, limit));
  });
}

absl::StatusOr<v1::ListFeedbackResponse> FeedbackStore::ReadPage(const FeedbackSubject& subject,
                                                                 uint64_t after, uint32_t limit) {
  ASSIGN_OR_RETURN(const Statement row,
                   Prepare(fmt::format("SELECT number, feedback_id, created_unix_ms, query,"
                                       " query_id, result_ids, context FROM feedback"
                                       " WHERE {} AND number > ?4 ORDER BY number LIMIT ?5",
                                       kOfSubject)
                               .c_str()));
  Binder(row.get())
      .Text(subject.tenant)
      .Text(subject.collection)
      .Number(subject.made_unix_ms)
      .Number(static_cast<int64_t>(after))
      .Number(limit);
  v1::ListFeedbackResponse page;
  int code = SQLITE_OK;
  while ((code = sqlite3_step(row.get())) == SQLITE_ROW) {
    v1::FeedbackRecord& record = *page.add_records();
    record.set_number(static_cast<uint64_t>(sqlite3_column_int64(row.get(), 0)));
    record.set_feedback_id(TextOf(row.get(), 1));
    record.set_created_unix_ms(sqlite3_column_int64(row.get(), 2));
    record.set_collection(subject.collection);
    record.set_query(TextOf(row.get(), 3));
    record.set_query_id(TextOf(row.get(), 4));
    ReadTexts(TextOf(row.get(), 5), record);
    ReadContext(TextOf(row.get(), 6), record);
    RETURN_IF_ERROR(ReadItems(record));
  }
  RETURN_IF_ERROR(ErrorOf(code));
  if (static_cast<uint32_t>(page.records_size()) == limit) {
    page.set_next_after_number(page.records(page.records_size() - 1).number());
  }
  ASSIGN_OR_RETURN(const uint64_t total, CountOf(subject));
  page.set_total(total);
  return page;
}

absl::StatusOr<uint64_t> FeedbackStore::CountOf(const FeedbackSubject& subject) {
  ASSIGN_OR_RETURN(
      const Statement row,
      Prepare(fmt::format("SELECT COUNT(*) FROM feedback WHERE {}", kOfSubject).c_str()));
  Binder(row.get()).Text(subject.tenant).Text(subject.collection).Number(subject.made_unix_ms);
  RETURN_IF_ERROR(ErrorOf(sqlite3_step(row.get())));
  return static_cast<uint64_t>(sqlite3_column_int64(row.get(), 0));
}

absl::Status FeedbackStore::ReadItems(v1::FeedbackRecord& record) {
  ASSIGN_OR_RETURN(const Statement row,
                   Prepare("SELECT result_id, relevance_score, clicked, position, comment"
                           " FROM feedback_item WHERE number = ? ORDER BY place"));
  Binder(row.get()).Number(static_cast<int64_t>(record.number()));
  int code = SQLITE_OK;
  while ((code = sqlite3_step(row.get())) == SQLITE_ROW) {
    v1::FeedbackItem& item = *record.add_feedback_items();
    item.set_result_id(TextOf(row.get(), 0));
    item.set_relevance_score(sqlite3_column_int(row.get(), 1));
    item.set_clicked(sqlite3_column_int(row.get(), 2) != 0);
    item.set_position(sqlite3_column_int(row.get(), 3));
    item.set_comment(TextOf(row.get(), 4));
  }
  return ErrorOf(code);
}

}  // namespace vectron::gateway
