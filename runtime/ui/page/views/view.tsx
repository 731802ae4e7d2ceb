/** The view that the address names. */
import { ViewHead } from "../parts/view-head.tsx";
import { DomainView } from "./domain.tsx";
import { DomainsView } from "./domains.tsx";
import { HostsView } from "./hosts.tsx";
import { JobsView } from "./jobs.tsx";
import { NetworksView } from "./networks.tsx";
import { SchedulesView } from "./schedules.tsx";
import { StorageView } from "./storage.tsx";
import { TemplatesView } from "./templates.tsx";

export function View({ view, parts }: { view: string; parts: string[] }) {
  const [host = "", name = ""] = parts;
  switch (view) {
    case "domains":
      return <DomainsView />;
    case "domain":
      return <DomainView host={host} name={name} />;
    case "hosts":
      return <HostsView />;
    case "networks":
      return <NetworksView parts={parts} />;
    case "storage":
      return <StorageView parts={parts} />;
    case "templates":
      return <TemplatesView parts={parts} />;
    case "jobs":
      return <JobsView />;
    case "schedules":
      return <SchedulesView />;
    default:
      return <ViewHead title="Nothing is here" note="Choose a view from the list." />;
  }
}
