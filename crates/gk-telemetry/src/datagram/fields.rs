//! The fields of datagrams: number, name, form. Numbers are never given twice; what is not here is kept unread.

/// Which values a field may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// One number.
    Number,
    /// A text.
    Text,
    /// A row of numbers.
    Row,
}

macro_rules! table {
    ($($id:literal $constant:ident $name:literal $form:ident;)*) => {
        $(#[doc = concat!("`", $name, "`.")] pub const $constant: u16 = $id;)*
        /// All fields.
        pub const ALL: &[(u16, &str, Form)] = &[$(($id, $name, Form::$form),)*];
    };
}

table! {
    1 MOD_WSGI_VERSION "mod_wsgi_version" Text;
    2 PYTHON_VERSION "python_version" Text;
    3 APACHE_VERSION "apache_version" Text;
    4 MPM_NAME "mpm_name" Text;
    5 HOSTNAME "hostname" Text;
    6 PROCESS_GROUP "process_group" Text;
    7 PARENT_PID "process_parent_pid" Number;
    8 INTERPRETER_NAME "interpreter_name" Text;
    10 SAMPLE_PERIOD "sample_period" Number;
    11 TELEMETRY_INTERVAL "telemetry_interval" Number;
    12 SLOW_THRESHOLD "slow_requests_threshold" Number;
    13 SWITCH_INTERVAL "switch_interval" Number;
    20 REQUEST_COUNT "request_count" Number;
    21 REQUEST_THROUGHPUT "request_throughput" Number;
    22 CAPACITY_UTILIZATION "capacity_utilization" Number;
    30 CPU_USER_UTILIZATION "cpu_user_utilization" Number;
    31 CPU_SYSTEM_UTILIZATION "cpu_system_utilization" Number;
    32 CPU_UTILIZATION "cpu_utilization" Number;
    35 CPU_USER_TIME "cpu_user_time" Number;
    36 CPU_SYSTEM_TIME "cpu_system_time" Number;
    37 CPU_TIME "cpu_time" Number;
    40 MEMORY_RSS "memory_rss" Number;
    41 MEMORY_MAX_RSS "memory_max_rss" Number;
    50 THREADS_MAXIMUM "request_threads_maximum" Number;
    51 THREADS_STARTED "request_threads_started" Number;
    52 THREADS_ACTIVE "request_threads_active" Number;
    60 SERVER_TIME "server_time" Number;
    61 QUEUE_TIME "queue_time" Number;
    62 DAEMON_TIME "daemon_time" Number;
    63 APPLICATION_TIME "application_time" Number;
    64 REQUEST_TIME "request_time" Number;
    65 GIL_WAIT_TIME "gil_wait_time" Number;
    66 INPUT_READ_TIME "input_read_time" Number;
    67 OUTPUT_WRITE_TIME "output_write_time" Number;
    70 SERVER_TIME_MIN "server_time_min" Number;
    71 QUEUE_TIME_MIN "queue_time_min" Number;
    72 DAEMON_TIME_MIN "daemon_time_min" Number;
    73 APPLICATION_TIME_MIN "application_time_min" Number;
    74 REQUEST_TIME_MIN "request_time_min" Number;
    75 GIL_WAIT_TIME_MIN "gil_wait_time_min" Number;
    76 INPUT_READ_TIME_MIN "input_read_time_min" Number;
    77 OUTPUT_WRITE_TIME_MIN "output_write_time_min" Number;
    80 SERVER_TIME_MAX "server_time_max" Number;
    81 QUEUE_TIME_MAX "queue_time_max" Number;
    82 DAEMON_TIME_MAX "daemon_time_max" Number;
    83 APPLICATION_TIME_MAX "application_time_max" Number;
    84 REQUEST_TIME_MAX "request_time_max" Number;
    85 GIL_WAIT_TIME_MAX "gil_wait_time_max" Number;
    86 INPUT_READ_TIME_MAX "input_read_time_max" Number;
    87 OUTPUT_WRITE_TIME_MAX "output_write_time_max" Number;
    90 SERVER_TIME_BUCKETS "server_time_buckets" Row;
    91 QUEUE_TIME_BUCKETS "queue_time_buckets" Row;
    92 DAEMON_TIME_BUCKETS "daemon_time_buckets" Row;
    93 APPLICATION_TIME_BUCKETS "application_time_buckets" Row;
    94 REQUEST_TIME_BUCKETS "request_time_buckets" Row;
    95 GIL_WAIT_TIME_BUCKETS "gil_wait_time_buckets" Row;
    96 INPUT_READ_TIME_BUCKETS "input_read_time_buckets" Row;
    97 OUTPUT_WRITE_TIME_BUCKETS "output_write_time_buckets" Row;
    100 INPUT_BYTES "input_bytes_total" Number;
    101 INPUT_READS "input_reads_total" Number;
    102 OUTPUT_BYTES "output_bytes_total" Number;
    103 OUTPUT_WRITES "output_writes_total" Number;
    110 THREADS_COMPLETED "request_threads_completed" Row;
    111 THREADS_BUSY_TIME "request_threads_busy_time" Row;
    112 THREADS_CPU_TIME "request_threads_cpu_time" Row;
    113 THREADS_CURRENT_ELAPSED "request_threads_current_elapsed" Row;
    114 THREADS_MAX_DURATION "request_threads_max_duration" Row;
    120 STATUS_1XX "status_1xx_total" Number;
    121 STATUS_2XX "status_2xx_total" Number;
    122 STATUS_3XX "status_3xx_total" Number;
    123 STATUS_4XX "status_4xx_total" Number;
    124 STATUS_5XX "status_5xx_total" Number;
    130 SHUTDOWN_REASON "shutdown_reason" Text;
    131 PROCESS_UPTIME "process_uptime" Number;
    132 LIFETIME_REQUEST_COUNT "lifetime_request_count" Number;
    133 ACTIVE_AT_DECISION "active_requests_at_decision" Number;
    134 ACTIVE_AT_EXIT "active_requests_at_exit" Number;
    135 GRACEFUL_DRAIN "graceful_drain" Number;
    200 SLOW_RECORD_STATE "slow_record_state" Number;
    201 SLOW_START_STAMP "slow_start_stamp" Number;
    202 SLOW_DURATION "slow_duration" Number;
    203 SLOW_THREAD_ID "slow_thread_id" Number;
    204 SLOW_LOG_ID "slow_log_id" Text;
    205 SLOW_SERVER_PID "slow_server_pid" Number;
    210 SLOW_METHOD "slow_method" Text;
    211 SLOW_SCHEME "slow_scheme" Text;
    212 SLOW_HOSTNAME "slow_hostname" Text;
    213 SLOW_SCRIPT_NAME "slow_script_name" Text;
    214 SLOW_PATH_INFO "slow_path_info" Text;
    215 SLOW_PROTOCOL "slow_protocol" Text;
    216 SLOW_PEER_IP "slow_peer_ip" Text;
    217 SLOW_USER_AGENT "slow_user_agent" Text;
    220 SLOW_SERVER_TIME "slow_server_time" Number;
    221 SLOW_QUEUE_TIME "slow_queue_time" Number;
    222 SLOW_DAEMON_TIME "slow_daemon_time" Number;
    223 SLOW_APPLICATION_TIME "slow_application_time" Number;
    224 SLOW_GIL_WAIT_TIME "slow_gil_wait_time" Number;
    225 SLOW_GIL_WAIT_COUNT "slow_gil_wait_count" Number;
    230 SLOW_INPUT_BYTES "slow_input_bytes" Number;
    231 SLOW_INPUT_READS "slow_input_reads" Number;
    232 SLOW_OUTPUT_BYTES "slow_output_bytes" Number;
    233 SLOW_OUTPUT_WRITES "slow_output_writes" Number;
    234 SLOW_INPUT_READ_TIME "slow_input_read_time" Number;
    235 SLOW_OUTPUT_WRITE_TIME "slow_output_write_time" Number;
    240 SLOW_STATUS "slow_status" Number;
    250 SLOW_CPU_USER_TIME "slow_cpu_user_time" Number;
    251 SLOW_CPU_SYSTEM_TIME "slow_cpu_system_time" Number;
    260 SLOW_ACTIVE_AT_START "slow_active_at_start" Number;
    261 SLOW_ACTIVE_AT_COMPLETION "slow_active_at_completion" Number;
    300 GC_COUNT0 "gc_count0" Number;
    301 GC_COUNT1 "gc_count1" Number;
    302 GC_COUNT2 "gc_count2" Number;
    303 GC_THRESHOLD0 "gc_threshold0" Number;
    304 GC_THRESHOLD1 "gc_threshold1" Number;
    305 GC_THRESHOLD2 "gc_threshold2" Number;
    306 GC_COLLECTIONS0 "gc_collections0" Number;
    307 GC_COLLECTIONS1 "gc_collections1" Number;
    308 GC_COLLECTIONS2 "gc_collections2" Number;
    309 GC_COLLECTED0 "gc_collected0" Number;
    310 GC_COLLECTED1 "gc_collected1" Number;
    311 GC_COLLECTED2 "gc_collected2" Number;
    312 GC_UNCOLLECTABLE0 "gc_uncollectable0" Number;
    313 GC_UNCOLLECTABLE1 "gc_uncollectable1" Number;
    314 GC_UNCOLLECTABLE2 "gc_uncollectable2" Number;
    315 GC_IS_ENABLED "gc_is_enabled" Number;
    316 GC_FREEZE_COUNT "gc_freeze_count" Number;
    317 GC_DROPPED_EVENTS "gc_dropped_events" Number;
    320 GC_EVENT_START "gc_event_start_stamp" Number;
    321 GC_EVENT_DURATION "gc_event_duration" Number;
    322 GC_EVENT_GENERATION "gc_event_generation" Number;
    323 GC_EVENT_COLLECTED "gc_event_collected" Number;
    324 GC_EVENT_UNCOLLECTABLE "gc_event_uncollectable" Number;
}

fn find(id: u16) -> Option<&'static (u16, &'static str, Form)> {
    ALL.binary_search_by_key(&id, |(id, ..)| *id).ok().map(|index| &ALL[index])
}

/// The form of a field's value; `None`: not in the table.
pub fn form(id: u16) -> Option<Form> {
    find(id).map(|(.., form)| *form)
}

/// The name of a field.
pub fn name(id: u16) -> Option<&'static str> {
    find(id).map(|(_, name, _)| *name)
}
