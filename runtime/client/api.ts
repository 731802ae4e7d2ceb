/**
 * Every endpoint with the type of its function, for `connect` and `createClient`. Only types: nothing of it is
 * left at run time. Generated from functions/ by `npm run generate`; do not edit.
 */

export interface Api {
  "GET /capabilities": typeof import("../../functions/capabilities.ts").default;
  "GET /health": typeof import("../../functions/health.ts").default;
  "GET /hosts": typeof import("../../functions/hosts.ts").default;
  "POST /libvirt/batch/delete": typeof import("../../functions/libvirt/batch/delete.ts").default;
  "POST /libvirt/batch/pause": typeof import("../../functions/libvirt/batch/pause.ts").default;
  "POST /libvirt/batch/reboot": typeof import("../../functions/libvirt/batch/reboot.ts").default;
  "POST /libvirt/batch/resume": typeof import("../../functions/libvirt/batch/resume.ts").default;
  "POST /libvirt/batch/snapshot": typeof import("../../functions/libvirt/batch/snapshot.ts").default;
  "POST /libvirt/batch/start": typeof import("../../functions/libvirt/batch/start.ts").default;
  "POST /libvirt/batch/stop": typeof import("../../functions/libvirt/batch/stop.ts").default;
  "POST /libvirt/clone": typeof import("../../functions/libvirt/clone.ts").default;
  "POST /libvirt/clone/multiple": typeof import("../../functions/libvirt/clone/multiple.ts").default;
  "GET /libvirt/console": typeof import("../../functions/libvirt/console.ts").default;
  "GET /libvirt/domain": typeof import("../../functions/libvirt/domain.ts").default;
  "POST /libvirt/domain/destroy": typeof import("../../functions/libvirt/domain/destroy.ts").default;
  "POST /libvirt/domain/pause": typeof import("../../functions/libvirt/domain/pause.ts").default;
  "POST /libvirt/domain/reboot": typeof import("../../functions/libvirt/domain/reboot.ts").default;
  "POST /libvirt/domain/rename": typeof import("../../functions/libvirt/domain/rename.ts").default;
  "POST /libvirt/domain/resume": typeof import("../../functions/libvirt/domain/resume.ts").default;
  "POST /libvirt/domain/shutdown": typeof import("../../functions/libvirt/domain/shutdown.ts").default;
  "POST /libvirt/domain/start": typeof import("../../functions/libvirt/domain/start.ts").default;
  "GET /libvirt/domains": typeof import("../../functions/libvirt/domains.ts").default;
  "POST /libvirt/interface/attach": typeof import("../../functions/libvirt/interface/attach.ts").default;
  "POST /libvirt/interface/detach": typeof import("../../functions/libvirt/interface/detach.ts").default;
  "GET /libvirt/network": typeof import("../../functions/libvirt/network.ts").default;
  "POST /libvirt/network/create": typeof import("../../functions/libvirt/network/create.ts").default;
  "POST /libvirt/network/delete": typeof import("../../functions/libvirt/network/delete.ts").default;
  "POST /libvirt/network/start": typeof import("../../functions/libvirt/network/start.ts").default;
  "POST /libvirt/network/stop": typeof import("../../functions/libvirt/network/stop.ts").default;
  "GET /libvirt/networks": typeof import("../../functions/libvirt/networks.ts").default;
  "GET /libvirt/pools": typeof import("../../functions/libvirt/pools.ts").default;
  "POST /libvirt/snapshot/create": typeof import("../../functions/libvirt/snapshot/create.ts").default;
  "POST /libvirt/snapshot/delete": typeof import("../../functions/libvirt/snapshot/delete.ts").default;
  "POST /libvirt/snapshot/revert": typeof import("../../functions/libvirt/snapshot/revert.ts").default;
  "GET /libvirt/snapshots": typeof import("../../functions/libvirt/snapshots.ts").default;
  "GET /libvirt/stats": typeof import("../../functions/libvirt/stats.ts").default;
  "GET /libvirt/stats/all": typeof import("../../functions/libvirt/stats/all.ts").default;
  "GET /libvirt/stats/cpu": typeof import("../../functions/libvirt/stats/cpu.ts").default;
  "GET /libvirt/stats/disk": typeof import("../../functions/libvirt/stats/disk.ts").default;
  "GET /libvirt/stats/memory": typeof import("../../functions/libvirt/stats/memory.ts").default;
  "GET /libvirt/stats/network": typeof import("../../functions/libvirt/stats/network.ts").default;
  "POST /libvirt/template/create": typeof import("../../functions/libvirt/template/create.ts").default;
  "POST /libvirt/template/deploy": typeof import("../../functions/libvirt/template/deploy.ts").default;
  "POST /libvirt/template/export": typeof import("../../functions/libvirt/template/export.ts").default;
  "GET /libvirt/template/list": typeof import("../../functions/libvirt/template/list.ts").default;
  "POST /libvirt/volume/clone": typeof import("../../functions/libvirt/volume/clone.ts").default;
  "POST /libvirt/volume/create": typeof import("../../functions/libvirt/volume/create.ts").default;
  "POST /libvirt/volume/delete": typeof import("../../functions/libvirt/volume/delete.ts").default;
  "GET /libvirt/volume/info": typeof import("../../functions/libvirt/volume/info.ts").default;
  "POST /libvirt/volume/resize": typeof import("../../functions/libvirt/volume/resize.ts").default;
  "POST /libvirt/volume/upload": typeof import("../../functions/libvirt/volume/upload.ts").default;
  "POST /libvirt/volume/wipe": typeof import("../../functions/libvirt/volume/wipe.ts").default;
  "GET /libvirt/volumes": typeof import("../../functions/libvirt/volumes.ts").default;
  "GET /openapi.json": typeof import("../../functions/openapi.json.ts").default;
  "GET /status": typeof import("../../functions/status.ts").default;
  "GET /whoami": typeof import("../../functions/whoami.ts").default;
}
