// Solid Queue's tables as facts: those of its newest known db/queue_schema.rb, and those of version 0.2 (its first migrations).

export type SolidQueueDialect = 'postgres' | 'mysql';
/** `batches`: as 1.x with batches; `plain`: without them; `early`: 0.2, before recurring tasks and named processes. */
export type SolidQueueGeneration = 'batches' | 'plain' | 'early';

interface Table {
  columns: string[];
  /** "name: columns", unique ones with "!" in front. */
  indexes: string[];
  /** Whether rows go with their job. */
  ofJob?: boolean;
}

const execution = 'job_id big';
const created = 'created_at time';

function tables(generation: SolidQueueGeneration): Record<string, Table> {
  const early = generation === 'early';
  const onJob = (table: string) => `!index_solid_queue_${table}_on_job_id: job_id`;
  return {
    jobs: {
      columns: [
        'queue_name string',
        'class_name string',
        'arguments text?',
        'priority int=0',
        'active_job_id string?',
      ]
        .concat([
          'scheduled_at time?',
          'finished_at time?',
          'concurrency_key string?',
          created,
          'updated_at time',
        ])
        .concat(generation === 'batches' ? ['batch_id big?'] : []),
      indexes: [
        'index_solid_queue_jobs_on_active_job_id: active_job_id',
        'index_solid_queue_jobs_on_class_name: class_name',
        'index_solid_queue_jobs_on_finished_at: finished_at',
        'index_solid_queue_jobs_for_filtering: queue_name, finished_at',
        'index_solid_queue_jobs_for_alerting: scheduled_at, finished_at',
        ...(generation === 'batches' ? ['index_solid_queue_jobs_on_batch_id: batch_id'] : []),
      ],
    },
    ready_executions: {
      columns: [execution, 'queue_name string', 'priority int=0', created],
      indexes: [
        onJob('ready_executions'),
        'index_solid_queue_poll_all: priority, job_id',
        'index_solid_queue_poll_by_queue: queue_name, priority, job_id',
      ],
      ofJob: true,
    },
    claimed_executions: {
      columns: [execution, 'process_id big?', created],
      indexes: [
        onJob('claimed_executions'),
        'index_solid_queue_claimed_executions_on_process_id_and_job_id: process_id, job_id',
      ],
      ofJob: true,
    },
    scheduled_executions: {
      columns: [execution, 'queue_name string', 'priority int=0', 'scheduled_at time', created],
      indexes: [
        onJob('scheduled_executions'),
        'index_solid_queue_dispatch_all: scheduled_at, priority, job_id',
      ],
      ofJob: true,
    },
    blocked_executions: {
      columns: [
        execution,
        'queue_name string',
        'priority int=0',
        'concurrency_key string',
        'expires_at time',
        created,
      ],
      indexes: [
        onJob('blocked_executions'),
        'index_solid_queue_blocked_executions_for_maintenance: expires_at, concurrency_key',
        ...(early
          ? []
          : ['index_solid_queue_blocked_executions_for_release: concurrency_key, priority, job_id']),
      ],
      ofJob: true,
    },
    failed_executions: {
      columns: [execution, 'error text?', created],
      indexes: [onJob('failed_executions')],
      ofJob: true,
    },
    pauses: {
      columns: ['queue_name string', created],
      indexes: ['!index_solid_queue_pauses_on_queue_name: queue_name'],
    },
    processes: {
      columns: ['kind string', 'last_heartbeat_at time', 'supervisor_id big?', 'pid int', 'hostname string?']
        .concat(['metadata text?', created])
        .concat(early ? [] : ['name string']),
      indexes: [
        'index_solid_queue_processes_on_last_heartbeat_at: last_heartbeat_at',
        'index_solid_queue_processes_on_supervisor_id: supervisor_id',
        ...(early ? [] : ['!index_solid_queue_processes_on_name_and_supervisor_id: name, supervisor_id']),
      ],
    },
    semaphores: {
      columns: ['key string', 'value int=1', 'expires_at time', created, 'updated_at time'],
      indexes: [
        'index_solid_queue_semaphores_on_expires_at: expires_at',
        'index_solid_queue_semaphores_on_key_and_value: key, value',
        '!index_solid_queue_semaphores_on_key: key',
      ],
    },
    ...(early
      ? {}
      : {
          recurring_executions: {
            columns: [execution, 'task_key string', 'run_at time', created],
            indexes: [
              onJob('recurring_executions'),
              '!index_solid_queue_recurring_executions_on_task_key_and_run_at: task_key, run_at',
            ],
            ofJob: true,
          },
          recurring_tasks: {
            columns: [
              'key string',
              'schedule string',
              'command string?',
              'class_name string?',
              'arguments text?',
            ]
              .concat(['queue_name string?', 'priority int=0', 'static bool', 'description text?', created])
              .concat(['updated_at time']),
            indexes: [
              '!index_solid_queue_recurring_tasks_on_key: key',
              'index_solid_queue_recurring_tasks_on_static: static',
            ],
          },
        }),
    ...(generation === 'batches'
      ? {
          batches: {
            columns: [
              'active_job_batch_id string?',
              'description string?',
              'on_finish text?',
              'on_success text?',
            ]
              .concat(['on_failure text?', 'metadata text?', 'total_jobs int=0', 'completed_jobs int=0'])
              .concat([
                'failed_jobs int=0',
                'enqueued_at time?',
                'finished_at time?',
                'failed_at time?',
                created,
              ])
              .concat(['updated_at time']),
            indexes: ['!index_solid_queue_batches_on_active_job_batch_id: active_job_batch_id'],
          },
          batch_executions: {
            columns: [execution, 'batch_id big', created],
            indexes: [onJob('batch_executions'), 'index_solid_queue_batch_executions_on_batch_id: batch_id'],
          },
        }
      : {}),
  };
}

const types: Record<SolidQueueDialect, Record<string, string>> = {
  postgres: {
    string: 'varchar',
    text: 'text',
    int: 'integer',
    big: 'bigint',
    time: 'timestamp(6)',
    bool: 'boolean',
  },
  mysql: {
    string: 'varchar(255)',
    text: 'text',
    int: 'int',
    big: 'bigint',
    time: 'datetime(6)',
    bool: 'tinyint(1)',
  },
};

/** Statements that make the tables, in `schema` on PostgreSQL and in the current database on MySQL. */
export function solidQueueSchema(
  dialect: SolidQueueDialect,
  generation: SolidQueueGeneration,
  schema = 'public',
): string[] {
  const isPostgres = dialect === 'postgres';
  const name = (word: string) => (isPostgres ? `"${word.replaceAll('"', '""')}"` : `\`${word}\``);
  const table = (short: string) => (isPostgres ? `${name(schema)}.` : '') + name(`solid_queue_${short}`);
  const id = isPostgres ? 'id bigserial PRIMARY KEY' : 'id bigint NOT NULL AUTO_INCREMENT PRIMARY KEY';
  return Object.entries(tables(generation)).flatMap(([short, { columns, indexes, ofJob }]) => {
    const list = columns.map((column) => {
      const [, word = '', type = '', nullable, value] = /^(\w+) (\w+?)(\?)?(?:=(\d+))?$/.exec(column) ?? [];
      const rest = value === undefined ? '' : ` DEFAULT ${value}`;
      return `${name(word)} ${types[dialect][type] ?? type}${rest}${nullable === undefined ? ' NOT NULL' : ' NULL'}`;
    });
    const tail = isPostgres ? '' : ' ENGINE=InnoDB DEFAULT CHARSET=utf8mb4';
    return [
      `CREATE TABLE ${table(short)} (${[id, ...list].join(', ')})${tail}`,
      ...indexes.map((index) => {
        const [, unique, word = '', on = ''] = /^(!)?(\w+): (.*)$/.exec(index) ?? [];
        return `CREATE ${unique === undefined ? '' : 'UNIQUE '}INDEX ${name(word)} ON ${table(short)} (${on.split(', ').map(name).join(', ')})`;
      }),
      ...(ofJob === true
        ? [
            `ALTER TABLE ${table(short)} ADD FOREIGN KEY (job_id) REFERENCES ${table('jobs')} (id) ON DELETE CASCADE`,
          ]
        : []),
    ];
  });
}
