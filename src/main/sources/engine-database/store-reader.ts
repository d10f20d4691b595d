// What this source asks of an engine's store. Every store of the engine fits it; neither room imports the other.
import type {
  EngineJob,
  EngineJobsListed,
  EngineListRequest,
  EngineTenant,
} from '../local-engine/engine-reader.ts';

/** An engine as it last said of itself. Times are epoch ms of the store's clock. */
export interface StoreOwner {
  id: string;
  beatAtMs: number;
  /** JSON of contract/engine-report.ts. */
  report: string;
}

/** What is stopped by hand; a null tenant or kind stands for all. */
export interface StoreHold {
  tenantId: string | null;
  kind: string | null;
  mode: 'pause' | 'drain';
  by: string;
  reason: string;
  sinceMs: number;
}

/** Calls reject with HeadwayError. */
export interface StoreReader extends AsyncDisposable {
  /** "PostgreSQL 15.14 at db.example.com/jobs". */
  readonly description: string;
  /** The store's clock, epoch ms. */
  time(): Promise<number>;
  depths(frontLimit: number): Promise<{
    tenants: EngineTenant[];
    cursor: string | null;
    frontEndId: number | null;
  }>;
  owners(): Promise<StoreOwner[]>;
  holds(): Promise<StoreHold[]>;
  list(request: EngineListRequest): Promise<EngineJobsListed>;
  /** Null when it is done or never was. */
  job(id: number): Promise<EngineJob | null>;
  /** Its payload as JSON text, at most `limitChars` of it; null like `job`. */
  payload(id: number, limitChars: number): Promise<string | null>;
}
