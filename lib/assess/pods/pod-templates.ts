import type { Template } from '../../observed/kubernetes-fields.ts'
import type { Endpoint } from '../../model/path.ts'
import type { KubernetesLists } from './lists.ts'

/** Returns the pod template of everything in a snapshot's lists that owns pods; undefined if the stored list does not have it. */
export function templatesOf({ cronjobs, daemonsets, deployments, jobs, replicasets, statefulsets }: KubernetesLists): {
  readonly workload: Endpoint
  readonly template: Template | undefined
}[] {
  const all = [
    ...cronjobs.map(({ metadata, spec }) => ({ kind: 'cronjob', metadata, template: spec.jobTemplate.spec?.template })),
    ...Object.entries({
      daemonset: daemonsets,
      deployment: deployments,
      job: jobs,
      replicaset: replicasets,
      statefulset: statefulsets,
    }).flatMap(([kind, objects]) => objects.map(({ metadata, spec }) => ({ kind, metadata, template: spec.template }))),
  ]
  return all.map(({ kind, metadata, template }) => ({
    workload: { kind, namespace: metadata.namespace ?? '', name: metadata.name },
    template,
  }))
}
