/** What the server answers, under the names that the pages use; schema.d.ts is made from its OpenAPI. */

import type { components } from "./schema";

type Schemas = components["schemas"];

export type Artifact = Schemas["Artifact"];
export type Attempt = Schemas["AttemptShown"];
export type BulkResult = Schemas["BulkDone"];
export type ColumnValues = Schemas["ColumnValues"];
export type Columns = Schemas["Columns"];
export type Completion = Schemas["Completion"];
export type Curve = Schemas["Curve"];
export type Difference = Schemas["Difference"];
export type Groups = Schemas["Groups"];
/** What belongs to an event stands beside what all have. */
export type HistoryEntry = Schemas["HistoryEvent"] & { attempt?: number };
export type JobDetails = Schemas["JobDetails"];
export type JobFile = Schemas["File"];
export type JobPage = Schemas["JobPage"];
export type JobRow = Schemas["JobRow"];
export type Limited = Schemas["LimitedOne"];
export type Limits = Schemas["LimitsShown"];
export type LogLines = Schemas["LogLines"];
export type LogMatches = Schemas["LogMatches"];
export type Metric = Schemas["Metric"];
export type Node = Schemas["NodeUse"];
export type Note = Schemas["Note"];
export type PlacedJob = Schemas["PlacedJob"];
export type PlainJob = Schemas["PlainJob"];
export type Project = Schemas["Project"];
export type QueryCheck = Schemas["QueryCheck"];
export type QueryProblem = Schemas["QueryMistake"];
export type Queue = Schemas["Queue"];
export type QueuedRow = Schemas["WaitingJob"];
export type Search = Schemas["SearchRow"];
export type SearchDetails = Schemas["SearchDetails"];
export type ServerFacts = Schemas["ServerShown"];
export type Trial = Schemas["Trial"];
export type Values = Schemas["ValueTable"];

/** What a job used, moment by moment: seconds since the epoch, and the values of each measure then. */
export interface Measured {
  time: number[];
  values: Record<string, (number | null)[]>;
}

export type AuditEntry = Schemas["AuditEntry"];
export type AuditPage = Schemas["AuditPage"];
export type Me = Schemas["Me"];
export type Role = User["role"];
export type Scope = Token["scope"];
export type SignedIn = Schemas["SignedIn"];
export type Token = Schemas["Token"];
export type TokenMade = Schemas["TokenMade"];
export type User = Schemas["User"];
