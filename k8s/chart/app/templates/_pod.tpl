{{/* The pod of k8s/base/deployment.yaml, where its numbers have their reasons. */}}
{{- define "aether-app.pod" -}}
{{- $v := index .Values "aether-app" -}}
{{- $name := include "aether-app.name" . -}}
{{- if ne $v.mode "file" }}
serviceAccountName: {{ $name }}
{{- end }}
automountServiceAccountToken: false
enableServiceLinks: false
terminationGracePeriodSeconds: {{ $v.terminationGracePeriodSeconds }}
{{- with $v.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  seccompProfile: { type: RuntimeDefault }
{{- if $v.spread }}
topologySpreadConstraints:
  {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - topologyKey: {{ . }}
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: { app: {{ $name }} }
    matchLabelKeys: [pod-template-hash]
  {{- end }}
{{- end }}
initContainers:
  - name: init-fetch
    image: {{ $v.images.agent | quote }}
    command: [/aether/bin/init-fetch]
    env: {{- include "aether-app.agentEnv" . | nindent 6 }}
    volumeMounts:
      - { name: releases, mountPath: /var/lib/aether }
      - { name: podinfo, mountPath: /etc/podinfo, readOnly: true }
      - { name: keys, mountPath: /etc/aether/keys, readOnly: true }
    securityContext: {{- include "aether-app.confined" . | nindent 6 }}
    resources: {{- toYaml $v.resources.agent | nindent 6 }}
  - name: fetcher
    image: {{ $v.images.fetch | default $v.images.agent | quote }}
    command: [/aether/bin/fetcher]
    restartPolicy: Always
    env:
      {{- include "aether-app.agentEnv" . | nindent 6 }}
      - { name: AETHER_SUPERVISED, value: "true" }
      {{- if ne $v.mode "watch" }}
      - { name: AETHER_FETCH_MODE, value: {{ $v.mode }} }
      {{- end }}
      {{- if ne $v.mode "file" }}
      - name: AETHER_POD_NAME
        valueFrom: { fieldRef: { fieldPath: metadata.name } }
      - name: AETHER_POD_NAMESPACE
        valueFrom: { fieldRef: { fieldPath: metadata.namespace } }
      {{- if $v.events }}
      - name: AETHER_POD_UID
        valueFrom: { fieldRef: { fieldPath: metadata.uid } }
      {{- end }}
      {{- end }}
    ports:
      - { name: fetcher-health, containerPort: 19465 }
    livenessProbe:
      httpGet: { path: /livez, port: 19465 }
      periodSeconds: 10
      timeoutSeconds: 5
      failureThreshold: 3
    volumeMounts:
      - { name: releases, mountPath: /var/lib/aether }
      - { name: run, mountPath: /run/aether, readOnly: true }
      - { name: podinfo, mountPath: /etc/podinfo, readOnly: true }
      - { name: keys, mountPath: /etc/aether/keys, readOnly: true }
      {{- if ne $v.mode "file" }}
      - { name: api-token, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true }
      {{- end }}
    securityContext: {{- include "aether-app.confined" . | nindent 6 }}
    resources: {{- toYaml $v.resources.agent | nindent 6 }}
containers:
  - name: app
    image: {{ $v.images.nodejs | quote }}
    env:
      - { name: AETHER_APP, value: {{ $name | quote }} }
      {{- with $v.readyPath }}
      - { name: AETHER_READY_PATH, value: {{ . | quote }} }
      {{- end }}
      {{- if ne (int $v.port) 8080 }}
      - { name: PORT, value: {{ $v.port | quote }} }
      {{- end }}
      {{- range $key, $value := $v.env }}
      - { name: {{ $key }}, value: {{ $value | quote }} }
      {{- end }}
    ports:
      - { name: http, containerPort: {{ $v.port }} }
      - { name: health, containerPort: 19464 }
    readinessProbe:
      httpGet: { path: /readyz, port: 19464 }
      periodSeconds: 1
      failureThreshold: 1
    livenessProbe:
      httpGet: { path: /livez, port: 19464 }
      periodSeconds: 10
      timeoutSeconds: 5
      failureThreshold: 3
    volumeMounts:
      - { name: releases, mountPath: /workspace, subPath: workspace, readOnly: true }
      - { name: run, mountPath: /run/aether }
      - { name: tmp, mountPath: /tmp }
    securityContext: {{- include "aether-app.confined" . | nindent 6 }}
    resources: {{- toYaml $v.resources.app | nindent 6 }}
volumes:
  - name: releases
    emptyDir: { sizeLimit: {{ $v.volumes.releases }} }
  - name: run
    emptyDir: { medium: Memory, sizeLimit: 8Mi }
  - name: tmp
    emptyDir: { sizeLimit: {{ $v.volumes.tmp }} }
  - name: podinfo
    downwardAPI:
      items:
        - path: annotations
          fieldRef: { fieldPath: metadata.annotations }
  - name: keys
    secret:
      secretName: {{ $v.keysSecret }}
      defaultMode: 0440
  {{- if ne $v.mode "file" }}
  - name: api-token
    projected:
      sources:
        - serviceAccountToken: { path: token, expirationSeconds: 600 }
        - configMap:
            name: kube-root-ca.crt
            items: [{ key: ca.crt, path: ca.crt }]
        - downwardAPI:
            items:
              - path: namespace
                fieldRef: { fieldPath: metadata.namespace }
  {{- end }}
{{- end -}}

{{- define "aether-app.agentEnv" -}}
{{- $v := index .Values "aether-app" -}}
- { name: AETHER_APP, value: {{ include "aether-app.name" . | quote }} }
- { name: AETHER_PUBKEY, value: /etc/aether/keys }
- { name: AETHER_WORKSPACE_MAX_BYTES, value: {{ $v.volumes.releasesMaxBytes | quote }} }
{{- range $key, $value := $v.agentEnv }}
- { name: {{ $key }}, value: {{ $value | quote }} }
{{- end }}
{{- end -}}

{{- define "aether-app.confined" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end -}}
