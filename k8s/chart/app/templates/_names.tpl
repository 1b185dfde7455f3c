{{/* Values of the library: the parent's under its key, over its own defaults. */}}
{{- define "aether-app.name" -}}
{{ (index .Values "aether-app").name | default .Release.Name }}
{{- end -}}

{{- define "aether-app.labels" -}}
app: {{ include "aether-app.name" . }}
app.kubernetes.io/name: {{ include "aether-app.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with (index .Values "aether-app").labels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* All objects of the app. */}}
{{- define "aether-app.all" -}}
{{- $v := index .Values "aether-app" -}}
{{ include "aether-app.deployment" . }}
---
{{ include "aether-app.service" . }}
{{- if ne $v.mode "file" }}
---
{{ include "aether-app.rbac" . }}
{{- end }}
{{- if $v.disruptionBudget }}
---
{{ include "aether-app.disruption-budget" . }}
{{- end }}
{{- if $v.networkPolicy.enabled }}
---
{{ include "aether-app.network-policy" . }}
{{- end }}
{{- end -}}
